"""All that a run recorded, in the order in which it happened."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tuitrain.core.events import EpochEnded, Event
from tuitrain.store.reader import Cursor, RunReader
from tuitrain.store.version1 import event_of


class LoggedEvent(NamedTuple):
    """An event, and how long the run had been trained by then."""

    elapsed_ms: int
    event: Event


class EventLog(RunReader):
    """Read a record's events and every end of an epoch as one story."""

    def after(self, cursor: Cursor) -> tuple[list[Event], Cursor]:
        """Return what came after `cursor`, oldest first, and the cursor to ask with next."""
        with self._connection() as db:
            if db is None:
                return [], cursor
            db.execute("begin")  # one moment for both tables, ended by closing the connection
            events = db.execute(
                "select id, elapsed_ms, kind, body from event where id > ? order by id",
                (cursor.event,),
            ).fetchall()
            epochs = db.execute(
                "select key, elapsed_ms, 'epoch_ended', body from epoch where key > ? order by key",
                (cursor.epoch,),
            ).fetchall()
        last = [rows[-1][0] if rows else 0 for rows in (events, epochs)]
        return in_order(_told(events), _told(epochs)), Cursor(*map(max, cursor, last))


def in_order(events: Iterable[LoggedEvent], epochs: Iterable[LoggedEvent]) -> list[Event]:
    """Return the ends of epochs among the other events, each of the two given in order."""
    waiting, story = deque(epochs), list[Event]()
    for told in events:
        while waiting and _is_before(waiting[0], told):
            story.append(waiting.popleft().event)
        story.append(told.event)
    return story + [told.event for told in waiting]


def _is_before(epoch: LoggedEvent, other: LoggedEvent) -> bool:
    """By take, step and epoch where the other event has all of them, else by the time."""
    ended, event = epoch.event, other.event
    assert isinstance(ended, EpochEnded)
    if hasattr(event, "take") and hasattr(event, "step") and hasattr(event, "epoch"):
        place: tuple[int, int, int] = (event.take, event.step, event.epoch)
        return (ended.take, ended.step, ended.epoch) <= place
    return epoch.elapsed_ms <= other.elapsed_ms


def _told(rows: Iterable[tuple[int, int, str, str]]) -> Iterator[LoggedEvent]:
    for _, elapsed_ms, kind, body in rows:
        if (event := event_of(kind, body)) is not None:
            yield LoggedEvent(elapsed_ms, event)
