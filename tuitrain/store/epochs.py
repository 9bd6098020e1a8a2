"""The epochs of a record."""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby, starmap
from typing import Literal, NamedTuple, TypeVar, get_args

from tuitrain.core.errors import DamagedRecord
from tuitrain.core.events import EpochEnded
from tuitrain.core.segment import Segment
from tuitrain.store.older_versions import event_of
from tuitrain.store.schema import STEP_BITS, key_of, split

EPOCHS_KEPT = 500
"""Number of newest epochs that are read for a screen."""


class RecordedEpoch(NamedTuple):
    """A recorded epoch."""

    elapsed_s: float
    ended: EpochEnded


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


_VAL_LOSS = "coalesce(val_loss, json_extract(body, '$.val_loss'))"
"""The text nan for NaN, which SQLite keeps as NULL; NULL where nothing was validated."""
_AtStep = TypeVar("_AtStep", EpochEnded, EpochValue)

_OF_SEGMENT = "epoch.key between ? and ? and epoch.epoch > ? and epoch.epoch <= ?"
"""Condition for the epochs of a segment; its parameters are `_bounds`."""


def _bounds(segment: Segment) -> tuple[int, int, int, int]:
    """Return the bounds of the epochs of a segment: of their keys, and of completed epochs.

    An epoch that a take begins with is validated at the step before the first step of the take: its
    batches belong to another take.
    """
    take, last = segment.take, min(segment.last, STEP_BITS)
    return (
        key_of(take, segment.first - 1), key_of(take, last), segment.after_epoch,
        segment.last_epoch,
    )  # fmt: skip


def newest(db: sqlite3.Connection, after: int) -> list[tuple[int, EpochEnded]]:
    """Return (key, epoch) of the epochs with a key above `after`, at most the newest EPOCHS_KEPT.

    They are in order.
    """
    rows = db.execute(
        "select key, epoch, body from epoch where key > ? order by key desc limit ?",
        (after, EPOCHS_KEPT),
    ).fetchall()
    return [(key, epoch_of(key, epoch, body)) for key, epoch, body in reversed(rows)]


def best_before(db: sqlite3.Connection, key: int) -> EpochEnded | None:
    """Return the best epoch with a key below `key`."""
    row = db.execute(
        "select key, epoch, body from epoch where improved and key < ? order by key desc limit 1",
        (key,),
    ).fetchone()
    return epoch_of(*row) if row else None


def newest_of(
    db: sqlite3.Connection, segments: Sequence[Segment]
) -> tuple[tuple[EpochEnded, ...], EpochEnded | None]:
    """Return the newest EPOCHS_KEPT epochs of these segments in order, and their best one."""
    rows: list[tuple[int, int, str]] = []
    best: EpochEnded | None = None
    for segment in reversed(segments):
        of_segment = (
            f"select key, epoch, body from epoch where {_OF_SEGMENT} order by key desc limit ?"  # noqa: S608 - names of our own
        )
        room = EPOCHS_KEPT - len(rows)
        if room:
            rows += db.execute(of_segment, (*_bounds(segment), room)).fetchall()
        if best is None:
            row = db.execute(
                of_segment.replace(" order", " and improved order"), (*_bounds(segment), 1)
            ).fetchone()
            best = epoch_of(*row) if row else None
    return tuple(starmap(epoch_of, reversed(rows))), best


def first(db: sqlite3.Connection, segment: Segment, most: int) -> list[RecordedEpoch]:
    """Return the first `most` epochs that ended in a segment."""
    rows = db.execute(
        f"select elapsed_ms, key, epoch, body from epoch where {_OF_SEGMENT}"  # noqa: S608 - names of our own
        " order by key limit ?",
        (*_bounds(segment), most),
    ).fetchall()
    return [RecordedEpoch(elapsed_ms / 1000, epoch_of(*row)) for elapsed_ms, *row in rows]


def last(db: sqlite3.Connection, segment: Segment) -> EpochEnded | None:
    """Return the last epoch that ended in a segment."""
    row = db.execute(
        f"select key, epoch, body from epoch where {_OF_SEGMENT} order by key desc limit 1",  # noqa: S608 - names of our own
        _bounds(segment),
    ).fetchone()
    return epoch_of(*row) if row else None


def validations(db: sqlite3.Connection, segment: Segment, level: int) -> list[EpochValue]:
    """Return the validation losses of a segment, thinned by `extremes` in each 2^level steps."""
    rows = db.execute(
        f"select key, epoch, {_VAL_LOSS} from epoch where {_OF_SEGMENT} order by key",  # noqa: S608 - names of our own
        _bounds(segment),
    )
    return [loss for bucket in _buckets(_losses(rows), level) for loss in extremes(bucket)]


def first_validations(db: sqlite3.Connection, segment: Segment, level: int) -> list[EpochValue]:
    """Return the first validation loss in each 2^level steps; few rows are read for it."""
    return list(_losses(_firsts(db, segment, level)))


def _firsts(
    db: sqlite3.Connection, segment: Segment, level: int
) -> Iterator[tuple[int, int, float | str | None]]:
    query = f"select key, epoch, {_VAL_LOSS} from epoch where {_OF_SEGMENT} order by key limit 1"  # noqa: S608 - names of our own
    while (row := db.execute(query, _bounds(segment)).fetchone()) is not None:
        yield row
        end = (split(row[0])[1] - 1 >> level) + 1 << level
        segment = segment._replace(first=end + 2)  # past the epoch that ends at that step


def _losses(rows: Iterable[tuple[int, int, float | str | None]]) -> Iterator[EpochValue]:
    for key, epoch, loss in rows:
        if loss is not None:
            yield EpochValue(split(key)[1], epoch, float(loss))


def values(db: sqlite3.Connection, segment: Segment, level: int) -> EpochValues:
    """Return all values of the epochs of a segment, thinned by `extremes` in each 2^level steps."""
    rows = db.execute(
        f"select key, epoch, body from epoch where {_OF_SEGMENT} order by key",  # noqa: S608 - names of our own
        _bounds(segment),
    )
    thinned: dict[EpochPart, dict[str, list[EpochValue]]] = {part: {} for part in PARTS}
    for bucket in _buckets(starmap(epoch_of, rows), level):
        for (part, name), of_name in _by_name(bucket).items():
            thinned[part].setdefault(name, []).extend(extremes(of_name))
    return thinned


def extremes(values: Sequence[EpochValue]) -> list[EpochValue]:
    """Return the lowest and the highest value, and the first that is not finite, in order.

    So a spike or a best epoch survives, however many epochs a chart has in a column.
    """
    finite = [value for value in values if math.isfinite(value.value)]
    kept = [value for value in values if not math.isfinite(value.value)][:1]
    if finite:
        kept += {min(finite, key=_value), max(finite, key=_value)}
    return sorted(kept, key=lambda value: value.step)


def _value(of: EpochValue) -> float:
    return of.value


def _buckets(items: Iterable[_AtStep], level: int) -> Iterator[list[_AtStep]]:
    """Yield the items of each 2^level steps."""
    for _, bucket in groupby(items, key=lambda item: item.step - 1 >> level):
        yield list(bucket)


def _by_name(epochs: Iterable[EpochEnded]) -> Mapping[tuple[EpochPart, str], list[EpochValue]]:
    by_name: defaultdict[tuple[EpochPart, str], list[EpochValue]] = defaultdict(list)
    for epoch in epochs:
        for part in PARTS:
            for name, value in getattr(epoch, part).items():
                by_name[part, name].append(EpochValue(epoch.step, epoch.epoch, value))
    return by_name


def best(
    db: sqlite3.Connection, segment: Segment, part: EpochPart, signs: Mapping[str, int]
) -> dict[str, Best]:
    """Return the best finite value of each name, and its epoch; see `RunReader.best`."""
    if not signs:
        return {}
    names = ", ".join("(?, ?)" for _ in signs)
    rows = db.execute(
        f"with wanted(name, sign) as (values {names})"  # noqa: S608 - question marks only
        " select name, max(found.value * sign) * sign, epoch.epoch"
        " from epoch, json_each(body, ?) as found join wanted on name = found.key"
        f" where {_OF_SEGMENT} and found.type in ('real', 'integer')"
        " group by name",
        (*chain(*signs.items()), f"$.{part}", *_bounds(segment)),
    ).fetchall()
    return {name: Best(value, epoch) for name, value, epoch in rows}


def epoch_of(key: int, epoch: int, body: str) -> EpochEnded:
    """Return the epoch of a row; DamagedRecord if the body contradicts the other columns."""
    event = event_of(EpochEnded.kind, body)
    assert isinstance(event, EpochEnded)
    if (key_of(event.take, event.step), event.epoch) != (key, epoch):
        raise DamagedRecord(
            f"its record is damaged: epoch {epoch} calls itself epoch {event.epoch} at step "
            f"{event.step} of take {event.take}"
        )
    return event
