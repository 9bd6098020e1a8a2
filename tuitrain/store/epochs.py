"""The epochs of a record."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import starmap
from typing import NamedTuple

from tuitrain.core.errors import DamagedRecord
from tuitrain.core.events import EpochEnded
from tuitrain.core.segment import Segment
from tuitrain.store.older_versions import event_of
from tuitrain.store.schema import STEP_BITS, key_of

EPOCHS_KEPT = 500
"""Number of newest epochs that are read for a screen."""


class RecordedEpoch(NamedTuple):
    """A recorded epoch."""

    elapsed_s: float
    ended: EpochEnded


OF_SEGMENT = "epoch.key between ? and ? and epoch.epoch > ? and epoch.epoch <= ?"
"""Condition for the epochs of a segment; its parameters are `bounds`."""


def bounds(segment: Segment) -> tuple[int, int, int, int]:
    """Return the bounds of the epochs of a segment: of their keys, and of completed epochs.

    An epoch that a take begins with is validated at the step before the first step of the take: its
    batches belong to another take.
    """
    take, last = segment.take, min(segment.last, STEP_BITS)
    return (
        key_of(take, segment.first - 1), key_of(take, last), segment.after_epoch,
        segment.last_epoch,
    )  # fmt: skip


Row = tuple[int, int, str]
"""The key, the number and the body of an epoch, for `epoch_of`."""


def newest(db: sqlite3.Connection, after: int) -> list[Row]:
    """Return the epochs with a key above `after`, at most the newest EPOCHS_KEPT, in order."""
    rows: list[Row] = db.execute(
        "select key, epoch, body from epoch where key > ? order by key desc limit ?",
        (after, EPOCHS_KEPT),
    ).fetchall()
    return rows[::-1]


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
            f"select key, epoch, body from epoch where {OF_SEGMENT} order by key desc limit ?"  # noqa: S608 - names of our own
        )
        room = EPOCHS_KEPT - len(rows)
        if room:
            rows += db.execute(of_segment, (*bounds(segment), room)).fetchall()
        if best is None:
            row = db.execute(
                of_segment.replace(" order", " and improved order"), (*bounds(segment), 1)
            ).fetchone()
            best = epoch_of(*row) if row else None
    return tuple(starmap(epoch_of, reversed(rows))), best


def first(db: sqlite3.Connection, segment: Segment, most: int) -> list[RecordedEpoch]:
    """Return the first `most` epochs that ended in a segment."""
    rows = db.execute(
        f"select elapsed_ms, key, epoch, body from epoch where {OF_SEGMENT}"  # noqa: S608 - names of our own
        " order by key limit ?",
        (*bounds(segment), most),
    ).fetchall()
    return [RecordedEpoch(elapsed_ms / 1000, epoch_of(*row)) for elapsed_ms, *row in rows]


def last(db: sqlite3.Connection, segment: Segment) -> EpochEnded | None:
    """Return the last epoch that ended in a segment."""
    row = db.execute(
        f"select key, epoch, body from epoch where {OF_SEGMENT} order by key desc limit 1",  # noqa: S608 - names of our own
        bounds(segment),
    ).fetchone()
    return epoch_of(*row) if row else None


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
