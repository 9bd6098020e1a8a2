"""The additions to a record since a reader last read it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from itertools import starmap
from typing import NamedTuple

from tuitrain.core.events import EpochEnded, Event, TakeOpened
from tuitrain.core.segment import Segment
from tuitrain.store import epochs, series
from tuitrain.store.batches import newest_batch
from tuitrain.store.older_versions import Decode
from tuitrain.store.schema import BatchRow
from tuitrain.store.series import Summary


class Cursor(NamedTuple):
    """The position of a reader: the newest event, epoch and batch that it has read."""

    event: int = 0
    epoch: int = 0
    batch: int = 0


class Recorded(NamedTuple):
    """A recorded event."""

    id: int
    at: float
    elapsed_s: float
    event: Event


class Delta(NamedTuple):
    """The additions to a record since a cursor, and the cursor for the next call."""

    events: tuple[Recorded, ...]
    epochs: tuple[EpochEnded, ...]
    """Oldest first; at most the newest EPOCHS_KEPT."""
    latest: BatchRow | None
    cursor: Cursor
    best: EpochEnded | None = None
    """The best epoch of the segments, or without them the best before `epochs`, if it was read."""
    is_anew: bool = False
    """True if epochs and series replace those of earlier deltas."""
    series: tuple[Summary, ...] = ()
    """Summaries of each series since the cursor, if segments were given."""


SegmentsAfter = Callable[[Sequence[Recorded]], Sequence[Segment]]
"""Maps the new events to the segments whose epochs and series are read."""


def since(
    db: sqlite3.Connection,
    cursor: Cursor,
    event_of: Decode,
    segments_after: SegmentsAfter | None = None,
    *,
    with_series: bool = True,
) -> Delta:
    """Return what was recorded after `cursor`; see `RunReader.since`."""
    rows = db.execute(
        "select id, at, elapsed_ms, kind, body from event where id > ? order by id",
        (cursor.event,),
    ).fetchall()
    recorded = tuple(
        Recorded(number, at, elapsed_ms / 1000, event)
        for number, at, elapsed_ms, kind, body in rows
        if (event := event_of(kind, body)) is not None
    )
    ended, latest = epochs.newest(db, cursor.epoch), newest_batch(db)
    now = Cursor(
        rows[-1][0] if rows else cursor.event,
        ended[-1][0] if ended else cursor.epoch,
        latest.key if latest else cursor.batch,
    )
    delta = Delta(recorded, (), latest, now)
    if segments_after is not None:
        delta, newer = _of_segments(db, delta, ended, cursor, segments_after(recorded))
        if newer and with_series:
            return delta._replace(series=series.summaries(db, newer))
        if newer:
            series.tracks(db)  # raises for a damaged record, as reading them would
        return delta
    delta = delta._replace(epochs=tuple(starmap(epochs.epoch_of, ended)))
    if cursor.epoch == 0 and ended:
        return delta._replace(best=epochs.best_before(db, ended[0][0]))
    return delta


def _of_segments(
    db: sqlite3.Connection, delta: Delta, ended: Sequence[epochs.Row], before: Cursor,
    segments: Sequence[Segment],
) -> tuple[Delta, Sequence[series.Part]]:  # fmt: skip
    """Return `delta` with the epochs of these segments, and the parts whose series are newer.

    `ended` are the new epochs.
    """
    if delta.cursor == before:
        return delta, ()  # a trainer writes values together with a batch, an epoch or an event
    if _must_reread(delta.events, ended, before):
        newest, best = epochs.newest_of(db, segments)
        parts = [(segment.take, (segment.first, segment.last)) for segment in segments]
        return delta._replace(epochs=newest, best=best, is_anew=True), parts
    delta = delta._replace(epochs=tuple(starmap(epochs.epoch_of, ended)))
    return delta, [series.part_after(before.batch, segments[-1].take)]


def _must_reread(events: Sequence[Recorded], ended: Sequence[epochs.Row], before: Cursor) -> bool:
    """Return whether the epochs after a cursor are not enough to update a screen."""
    return (
        before.epoch == 0
        or len(ended) == epochs.EPOCHS_KEPT
        or any(isinstance(recorded.event, TakeOpened) for recorded in events)
    )
