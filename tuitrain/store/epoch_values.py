"""The metrics and losses that epochs were validated with, thinned for a chart.

Of many epochs their extremes are stored together, so that a chart of a run of any length reads only
a few rows for each of its columns.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby
from typing import Annotated, Literal, NamedTuple, get_args

from tuitrain.core.decode import parsed, value_of
from tuitrain.core.numbers import to_strict
from tuitrain.core.segment import FAR, Segment
from tuitrain.store.epochs import OF_SEGMENT, bounds
from tuitrain.store.rollup import Span, cover
from tuitrain.store.schema import STEP_BITS, key_of, split
from tuitrain.store.track import HIGHEST, MANY

EpochPart = Literal["metrics", "val_losses"]
"""A field of an epoch that maps names to numbers."""
PARTS: tuple[EpochPart, ...] = get_args(EpochPart)


class EpochValue(NamedTuple):
    """A validation value, and the step and the epoch at whose end it was evaluated."""

    step: int
    epoch: int
    value: float


EpochValues = Mapping[EpochPart, Mapping[str, Sequence[EpochValue]]]
"""The values of each metric and of each loss, in the order of steps."""


class Best(NamedTuple):
    """The best value of a metric or loss, and its epoch."""

    value: float
    epoch: int


class _Bucket(NamedTuple):
    """The stored extremes of the epochs that ended at the steps first..last of a take."""

    first: int
    last: int
    body: str


def _is_epoch_value(numbers: tuple[float, ...]) -> bool:
    """Return whether they are a step, an epoch and a value."""
    return len(numbers) == 3 and all(0 <= number <= FAR for number in numbers[:2])


_NUMBERS = Mapping[str, float]
_STORED = Mapping[str, tuple[Annotated[tuple[float, ...], _is_epoch_value], ...]]
_Stored = EpochPart | Literal["val_loss"]
_Values = dict[_Stored, dict[str, list[EpochValue]]]
_VAL_LOSS: _Stored = "val_loss"
"""The loss in use, under the name "": it has a column of its own."""
_SELECTED = "coalesce(val_loss, json_extract(body, '$.val_loss'))"
"""The text nan for NaN, which SQLite keeps as NULL; NULL where nothing was validated."""


def validations(db: sqlite3.Connection, segment: Segment, level: int) -> list[EpochValue]:
    """Return the validation losses of a segment, thinned by `extremes` in each 2^level steps."""
    found = _thinned(db, _parts(db, segment, level), level, (_VAL_LOSS,))
    return found[_VAL_LOSS].get("", [])


def values(db: sqlite3.Connection, segment: Segment, level: int) -> EpochValues:
    """Return all values of the epochs of a segment, thinned by `extremes` in each 2^level steps."""
    found = _thinned(db, _parts(db, segment, level), level, PARTS)
    return {part: found[part] for part in PARTS}


def best(
    db: sqlite3.Connection, segment: Segment, part: EpochPart, signs: Mapping[str, int]
) -> dict[str, Best]:
    """Return the best finite value of each name, and its epoch; see `RunReader.best`."""
    found: dict[str, Best] = {}
    for name, of_name in values(db, segment, HIGHEST)[part].items():
        finite = [value for value in of_name if math.isfinite(value.value)]
        if name in signs and finite:
            first_best = max(finite, key=lambda value: signs[name] * value.value)
            found[name] = Best(first_best.value, first_best.epoch)
    return found


def extremes(values: Sequence[EpochValue]) -> list[EpochValue]:
    """Return the lowest and the highest value, and the first that is not finite, in order.

    So a spike or a best epoch survives, however many epochs a chart has in a column. The extremes
    of parts are enough for those of the whole.
    """
    finite = [value for value in values if math.isfinite(value.value)]
    kept = [value for value in values if not math.isfinite(value.value)][:1]
    if finite:
        kept += {min(finite, key=_value), max(finite, key=_value)}
    return sorted(kept, key=lambda value: value.step)


def store_extremes(db: sqlite3.Connection, take: int, steps: Sequence[int]) -> None:
    """Store the extremes of epochs that are many, and complete now that some ended at these steps.

    A bucket of 2^level steps is complete, and never changes again, once an epoch ended after it.
    """
    rows = db.execute(
        "select key from epoch where key >= ? and key < ? order by key desc limit ?",
        (key_of(take, 1), key_of(take, steps[0]), MANY),
    ).fetchall()
    ended = [*(split(key)[1] for (key,) in reversed(rows)), *steps]
    for at in range(MANY, len(ended)):
        oldest, newest, step = ended[at - MANY] - 1, ended[at - 1] - 1, ended[at] - 1
        for level in range((newest ^ oldest).bit_length(), HIGHEST):
            if step >> level == newest >> level:
                break
            _store(db, take, level, newest >> level)


def _store(db: sqlite3.Connection, take: int, level: int, number: int) -> None:
    first, last = (number << level) + 1, number + 1 << level
    segment = Segment(take, first, last, after_epoch=-1, last_epoch=FAR)
    parts = _between(db, segment, (first, last), cover(first, last, level - 1))
    body = to_strict(_thinned(db, parts, level, (*PARTS, _VAL_LOSS)))
    db.execute(
        "insert or replace into epoch_bucket (level, key, body) values (?, ?, ?)",
        (level, key_of(take, first), json.dumps(body, separators=(",", ":"))),
    )


def _parts(db: sqlite3.Connection, segment: Segment, level: int) -> Iterator[_Bucket | Segment]:
    """Yield a segment in order: stored buckets of up to 2^level steps, and the parts between."""
    row = db.execute(
        f"select key from epoch where {OF_SEGMENT} order by key desc limit 1",  # noqa: S608 - names of our own
        bounds(segment),
    ).fetchone()
    if row is None:
        return
    first, newest = segment.first, split(row[0])[1]
    # the epoch that ended just before the segment may be that of a neighbour: no bucket has it
    yield _part(segment, first - 1, first - 1)
    # one that ends with the newest may not be stored yet
    yield from _between(db, segment, (first, newest), cover(first, newest - 1, level))


def _between(
    db: sqlite3.Connection, segment: Segment, steps: tuple[int, int], spans: Iterable[Span]
) -> Iterator[_Bucket | Segment]:
    """Yield the stored buckets of the spans, and the parts of the steps (first, last) between."""
    at, last = steps
    for bucket in chain.from_iterable(_buckets(db, segment.take, span) for span in spans):
        if at < bucket.first:
            yield _part(segment, at, bucket.first - 1)
        yield bucket
        at = bucket.last + 1
    if at <= last:
        yield _part(segment, at, last)


def _part(segment: Segment, first: int, last: int) -> Segment:
    """Return the segment with the epochs that ended at the steps first..last."""
    return segment._replace(first=first + 1, last=last)


def _buckets(db: sqlite3.Connection, take: int, span: Span) -> list[_Bucket]:
    if not span.level:
        return []
    size = 1 << span.level
    keys = (key_of(take, number * size + 1) for number in (span.first, span.last))
    rows = db.execute(
        "select key, body from epoch_bucket where level = ? and key between ? and ? order by key",
        (span.level, *keys),
    ).fetchall()
    firsts = ((key & STEP_BITS, body) for key, body in rows)
    return [_Bucket(first, first + size - 1, body) for first, body in firsts]


def _thinned(
    db: sqlite3.Connection, parts: Iterable[_Bucket | Segment], level: int,
    wanted: Sequence[_Stored],
) -> _Values:  # fmt: skip
    """Return the extremes of each value that is wanted in each 2^level steps."""
    found: _Values = {part: {} for part in wanted}
    for part in parts:
        if isinstance(part, _Bucket):
            _add_bucket(found, part)
        elif wanted == (_VAL_LOSS,):
            found[_VAL_LOSS].setdefault("", []).extend(_losses(db, part))
        else:
            _add_epochs(found, db, part)
    return {
        part: {name: list(_of_columns(of_name, level)) for name, of_name in by_name.items()}
        for part, by_name in found.items()
    }


def _add_bucket(found: _Values, bucket: _Bucket) -> None:
    """Add the values in a stored bucket; DamagedRecord for anything else in it."""
    body = parsed(bucket.body)
    for part, by_name in found.items():
        for name, of_name in value_of(_STORED, part, body.get(part, {})).items():
            stored = (EpochValue(int(step), int(epoch), value) for step, epoch, value in of_name)
            by_name.setdefault(name, []).extend(stored)


def _add_epochs(found: _Values, db: sqlite3.Connection, segment: Segment) -> None:
    rows = db.execute(
        f"select key, epoch, body from epoch where {OF_SEGMENT} order by key",  # noqa: S608 - names of our own
        bounds(segment),
    )
    for key, epoch, body in rows:
        step, fields = split(key)[1], parsed(body)
        for part, by_name in found.items():
            numbers = fields.get(part, {})
            if part == _VAL_LOSS:
                numbers = {} if numbers is None else {"": numbers}
            for name, value in value_of(_NUMBERS, part, numbers).items():
                by_name.setdefault(name, []).append(EpochValue(step, epoch, value))


def _losses(db: sqlite3.Connection, segment: Segment) -> Iterator[EpochValue]:
    rows = db.execute(
        f"select key, epoch, {_SELECTED} from epoch where {OF_SEGMENT} order by key",  # noqa: S608 - names of our own
        bounds(segment),
    )
    for key, epoch, loss in rows:
        if loss is not None:
            yield EpochValue(split(key)[1], epoch, float(loss))


def _of_columns(values: Iterable[EpochValue], level: int) -> Iterator[EpochValue]:
    for _, column in groupby(values, key=lambda value: value.step - 1 >> level):
        yield from extremes(list(column))


def _value(of: EpochValue) -> float:
    return of.value
