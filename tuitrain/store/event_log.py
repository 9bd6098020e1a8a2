"""The event log: all recorded events and ends of epochs, in the order in which they happened."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tuitrain.core.events import EpochEnded, Event
from tuitrain.store.delta import Cursor
from tuitrain.store.epochs import epoch_of
from tuitrain.store.older_versions import Decode
from tuitrain.store.reader import RunReader


class LoggedEvent(NamedTuple):
    """An event, and the training time of the run until then."""

    elapsed_ms: int
    event: Event


class EventLog(RunReader):
    """Read the events of a record and the ends of its epochs as one sequence."""

    def after(self, cursor: Cursor) -> tuple[list[Event], Cursor]:
        """Return the events after `cursor`, oldest first, and the cursor for the next call."""
        with self._connection() as db:
            if db is None:
                return [], cursor
            db.execute("begin")  # both tables as of one moment; closing the connection ends it
            events = db.execute(
                "select id, elapsed_ms, kind, body from event where id > ? order by id",
                (cursor.event,),
            ).fetchall()
            epochs = db.execute(
                "select key, elapsed_ms, epoch, body from epoch where key > ? order by key",
                (cursor.epoch,),
            ).fetchall()
        last = [rows[-1][0] if rows else 0 for rows in (events, epochs)]
        ended = (
            LoggedEvent(elapsed_ms, epoch_of(key, epoch, body))
            for key, elapsed_ms, epoch, body in epochs
        )
        return in_order(_logged(events, self._event_of), ended), Cursor(*map(max, cursor, last))


def in_order(events: Iterable[LoggedEvent], epochs: Iterable[LoggedEvent]) -> list[Event]:
    """Merge the ends of epochs into the other events; both must be in order."""
    waiting, merged = deque(epochs), list[Event]()
    for logged in events:
        while waiting and _is_before(waiting[0], logged):
            merged.append(waiting.popleft().event)
        merged.append(logged.event)
    return merged + [logged.event for logged in waiting]


def _is_before(epoch: LoggedEvent, other: LoggedEvent) -> bool:
    """Compare by take, step and epoch where the other event has all three, else by time."""
    ended, event = epoch.event, other.event
    assert isinstance(ended, EpochEnded)
    if hasattr(event, "take") and hasattr(event, "step") and hasattr(event, "epoch"):
        place: tuple[int, int, int] = (event.take, event.step, event.epoch)
        return (ended.take, ended.step, ended.epoch) <= place
    return epoch.elapsed_ms <= other.elapsed_ms


def _logged(rows: Iterable[tuple[int, int, str, str]], event_of: Decode) -> Iterator[LoggedEvent]:
    for _, elapsed_ms, kind, body in rows:
        if (event := event_of(kind, body)) is not None:
            yield LoggedEvent(elapsed_ms, event)
