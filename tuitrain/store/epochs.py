"""The epochs of a record."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, starmap
from typing import Any, Literal, NamedTuple

from tuitrain.core.errors import DamagedRecord
from tuitrain.core.events import EpochEnded
from tuitrain.core.segment import Segment
from tuitrain.store.schema import STEP_BITS, key_of, split
from tuitrain.store.version1 import event_of

EPOCHS_KEPT = 500
"""Number of newest epochs that are read for a screen."""


class RecordedEpoch(NamedTuple):
    """A recorded epoch."""

    elapsed_s: float
    ended: EpochEnded


EpochPart = Literal["metrics", "val_losses"]
"""A field of an epoch that maps names to numbers."""


class Best(NamedTuple):
    """The best value of a metric or loss, and its epoch."""

    value: float
    epoch: int


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


def thinned(
    db: sqlite3.Connection, column: str, segment: Segment, level: int
) -> Iterator[tuple[int, int, Any]]:
    """Yield (key, epoch, column) of the first epoch in each 2^level steps of a segment."""
    query = f"select key, epoch, {column} from epoch where {_OF_SEGMENT} order by key limit 1"  # noqa: S608 - names of our own
    while (row := db.execute(query, _bounds(segment)).fetchone()) is not None:
        yield row
        end = (split(row[0])[1] - 1 >> level) + 1 << level
        segment = segment._replace(first=end + 2)  # past the epoch that ends at that step


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
