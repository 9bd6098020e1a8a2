"""The series of a record: which there are, and what they have had so far."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tuitrain.core.decode import decoded
from tuitrain.core.errors import DamagedRecord
from tuitrain.core.series import LR, Series
from tuitrain.store import track
from tuitrain.store.rollup import joined
from tuitrain.store.schema import STEP_BITS, from_column, key_of, split
from tuitrain.store.track import Track

_MOST = 1_000
_WHOLE = 40
"""The level of a bucket that holds any take."""

Part = tuple[int, tuple[int, int]]
"""A take, and the (first, last) of its steps."""


class Found(NamedTuple):
    """A series, and where its values are."""

    series: Series
    track: Track


class Summary(NamedTuple):
    """What a series has had so far. Low and high are NaN where nothing was finite."""

    series: Series
    last: float
    low: float
    high: float

    def after(self, earlier: Summary | None) -> Summary:
        """Return what it has had with what it had earlier."""
        if earlier is None:
            return self
        lows = [each for each in (earlier.low, self.low) if each == each]
        highs = [each for each in (earlier.high, self.high) if each == each]
        return self._replace(low=min(lows, default=math.nan), high=max(highs, default=math.nan))


class Value(NamedTuple):
    """A value of a series, as the record has it."""

    step: int
    value: float
    elapsed_ms: int
    """Training time of the run when that step was trained; 0 where nobody knows."""


def tracks(db: sqlite3.Connection) -> dict[str, Found]:
    """Return all series by their names, the learning rate first.

    Raises DamagedRecord for one that no trainer writes.
    """
    rows = db.execute("select id, name, unit, per from series order by id limit ?", (_MOST,))
    found = {LR.name: Found(LR, track.LR)}
    for number, *fields in rows:
        series = _series(*fields)
        found.setdefault(series.name, Found(series, track.track_of(number)))
    return found


def summaries(db: sqlite3.Connection, parts: Sequence[Part]) -> tuple[Summary, ...]:
    """Return what each series has had in these parts, given oldest first; none without a value."""
    found = (_summary(db, each, parts) for each in tracks(db).values())
    return tuple(each for each in found if each is not None)


def newer(db: sqlite3.Connection, key: int, take: int) -> tuple[Summary, ...]:
    """Return what each series has had in the present take since the batch of `key`."""
    known, step = split(key)
    return summaries(db, [(take, (step if known == take else 0, STEP_BITS))])


def values(
    db: sqlite3.Connection, series: Series, take: int, steps: tuple[int, int], most: int
) -> list[Value]:
    """Return the values of the steps (first, last) in their order, the first `most` of them."""
    rows = db.execute(
        "select measured.key, value, elapsed_ms from measured"
        " left join batch on batch.key = measured.key"
        " where series = (select id from series where name = ?) and measured.key between ? and ?"
        " order by measured.key limit ?",
        (series.name, key_of(take, steps[0]), key_of(take, min(steps[1], STEP_BITS)), most),
    )
    return [
        Value(key & STEP_BITS, from_column(value), elapsed_ms or 0)
        for key, value, elapsed_ms in rows
    ]


def _summary(db: sqlite3.Connection, found: Found, parts: Iterable[Part]) -> Summary | None:
    last, buckets = None, []
    for take, steps in parts:
        last = track.newest(db, found.track, take, steps) or last
        buckets += track.read(db, found.track, take, steps, _WHOLE)
    if last is None:
        return None
    whole = joined(buckets)
    return Summary(found.series, last[1], whole.low, whole.high)


def _series(name: str, unit: str, per: str) -> Series:
    try:
        return decoded(Series, {"name": name, "unit": unit, "per": per})
    except DamagedRecord as error:
        raise DamagedRecord(f"its record is damaged: in a series, {error}") from None
