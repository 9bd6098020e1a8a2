"""The values of one scalar in a record, and the buckets that aggregate them.

The same code reads the loss, the learning rate and every other series. A bucket of a series is
stored only if it aggregates many values; elsewhere the values themselves are read. A value
recorded once in a thousand steps therefore costs no more than its own rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from tuitrain.store.rollup import BASE, Bucket, Span, cover, joined, summed
from tuitrain.store.schema import STEP_BITS, from_column, key_of

MANY = 1 << BASE
"""Number of values from which a bucket is stored."""
HIGHEST = 40
"""The level at which one bucket covers any take."""
_FEW = 256
"""Values of a series that are read at once, sooner than by buckets: these take twenty queries."""

Pair = tuple[int, float]
"""A step and a value."""


class Track(NamedTuple):
    """The storage of a scalar: two queries that still need a condition on keys."""

    values: str
    buckets: str
    base: int = BASE
    """The finest level of its buckets."""
    series: int = 0
    """The id of the series in `bucket`."""


LOSS = Track("select key, loss from batch where", "from rollup where")
LR = Track("select key, lr from batch where", "from bucket where series = 0 and", base=9)
"""The learning rate mostly stays the same for long, so its buckets start at a coarse level."""


def track_of(series: int) -> Track:
    """Return the track of the series with that id; ids count from 1."""
    return Track(
        f"select key, value from measured where series = {series:d} and",  # noqa: S608 - a number
        f"from bucket where series = {series:d} and",
        series=series,
    )


def read(
    db: sqlite3.Connection, track: Track, take: int, steps: tuple[int, int], level: int
) -> list[Bucket]:
    """Return the values of the steps (first, last) of a take in buckets of 2^level, oldest first.

    Buckets at both ends may be smaller. Steps without a value are left out.
    """
    if track.series and len(few := values_in(db, track, take, steps, _FEW)) < _FEW:
        return list(_grouped(few, level))
    first, last = (_end(db, track, take, steps, order) for order in ("asc", "desc"))
    if first is None or last is None:
        return []
    return [
        bucket
        for span in cover(first[0], last[0], level, track.base)
        for bucket in _in_span(db, track, take, span, level)
    ]


def newest(db: sqlite3.Connection, track: Track, take: int, steps: tuple[int, int]) -> Pair | None:
    """Return the step and value of the last value among the steps (first, last) of a take."""
    return _end(db, track, take, steps, "desc")


def values_in(
    db: sqlite3.Connection, track: Track, take: int, steps: tuple[int, int], most: int = -1
) -> list[Pair]:
    """Return the first `most` values of the steps (first, last) of a take; all for -1."""
    rows = db.execute(
        f"{track.values} key between ? and ? order by key limit ?", (*_keys(take, steps), most)
    )
    return [(key & STEP_BITS, from_column(value)) for key, value in rows]


def completed(
    db: sqlite3.Connection, track: Track, take: int, steps: Sequence[int]
) -> Iterator[tuple[int, Bucket]]:
    """Yield the (level, bucket)s to store after values were written at these steps, finest first.

    The caller writes each one before it asks for the next. A bucket is complete, and never changes
    again, once there is a value at its last step or later.
    """
    before = _steps_before(db, track, take, steps[0])
    touched, newest_before = [*before[-1:], *steps], before[-1] if before else 0
    if newest_before >> track.base == steps[-1] >> track.base:
        return
    for level in range(_least_level(track, [*before, *steps]), HIGHEST):
        ends = {(step - 1 >> level) + 1 << level for step in touched}
        done = sorted(end for end in ends if newest_before < end <= steps[-1])
        if not done:
            return
        for end in done:
            if bucket := _to_store(db, track, take, Span(level, (end >> level) - 1, 0)):
                yield level, bucket


def _steps_before(db: sqlite3.Connection, track: Track, take: int, step: int) -> list[int]:
    """Return the last steps with a value before `step`, at most MANY, in order."""
    rows = db.execute(
        f"{track.values} key between ? and ? order by key desc limit ?",
        (*_keys(take, (0, step - 1)), MANY),
    ).fetchall()
    return [row[0] & STEP_BITS for row in reversed(rows)]


def _least_level(track: Track, steps: Sequence[int]) -> int:
    """Return the finest level at which a bucket may hold MANY of these steps."""
    runs = zip(steps, steps[MANY - 1 :], strict=False)
    levels = (((first - 1) ^ (last - 1)).bit_length() for first, last in runs)
    return max(track.base, min(levels, default=HIGHEST))


def _to_store(db: sqlite3.Connection, track: Track, take: int, span: Span) -> Bucket | None:
    """Return the bucket made of finer ones; None if it has too few values to be stored."""
    level, number, _ = span
    steps = (number << level) + 1, number + 1 << level
    if level == track.base:
        values = [value for _, value in values_in(db, track, take, steps)]
        return summed(values, *steps) if len(values) >= MANY else None
    finer = Span(level - 1, 2 * number, 2 * number + 1)
    parts = list(_in_span(db, track, take, finer, 0))
    has_stored = any(part.steps > 1 for part in parts)
    if not has_stored and len(parts) < MANY:
        return None
    return joined(parts)._replace(first=steps[0], last=steps[1])


def _in_span(
    db: sqlite3.Connection, track: Track, take: int, span: Span, level: int
) -> Iterator[Bucket]:
    """Yield the stored buckets of a span, and the values between them in buckets of 2^level."""
    if span.level == 0:
        yield from _of_values(db, track, take, (span.first, span.last), level)
        return
    size = 1 << span.level
    at, last = span.first * size + 1, (span.last + 1) * size
    for bucket in _stored(db, track, take, span):
        yield from _of_values(db, track, take, (at, bucket.first - 1), level)
        yield bucket
        at = bucket.last + 1
    yield from _of_values(db, track, take, (at, last), level)


def _of_values(
    db: sqlite3.Connection, track: Track, take: int, steps: tuple[int, int], level: int
) -> Iterator[Bucket]:
    if steps[0] <= steps[1]:
        yield from _grouped(values_in(db, track, take, steps), level)


def _grouped(pairs: Sequence[Pair], level: int) -> Iterator[Bucket]:
    """Yield values in buckets of 2^level steps."""
    for _, group in groupby(pairs, key=lambda pair: pair[0] - 1 >> level):
        same_bucket = list(group)
        yield summed([value for _, value in same_bucket], same_bucket[0][0], same_bucket[-1][0])


def _stored(db: sqlite3.Connection, track: Track, take: int, span: Span) -> list[Bucket]:
    size = 1 << span.level
    keys = _keys(take, (span.first * size + 1, span.last * size + 1))
    rows = db.execute(
        f"select key, low, high, total, finite {track.buckets}"
        " level = ? and key between ? and ? order by key",
        (span.level, *keys),
    ).fetchall()
    return [
        Bucket(key & STEP_BITS, (key & STEP_BITS) + size - 1, from_column(low), from_column(high),
               from_column(total), finite)
        for key, low, high, total, finite in rows
    ]  # fmt: skip


def _end(
    db: sqlite3.Connection, track: Track, take: int, steps: tuple[int, int], order: str
) -> Pair | None:
    row = db.execute(
        f"{track.values} key between ? and ? order by key {order} limit 1", _keys(take, steps)
    ).fetchone()
    return (row[0] & STEP_BITS, from_column(row[1])) if row else None


def _keys(take: int, steps: tuple[int, int]) -> tuple[int, int]:
    return key_of(take, max(0, steps[0])), key_of(take, min(steps[1], STEP_BITS))
