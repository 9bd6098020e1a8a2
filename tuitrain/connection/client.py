"""Read the record of a run and send it commands, from another process."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tuitrain.core.commands import Boundary, Command, Request
from tuitrain.core.decode import value_of
from tuitrain.core.errors import DamagedRecord
from tuitrain.core.events import Event, LastWord
from tuitrain.core.notes import Note
from tuitrain.core.spec import RunSpec
from tuitrain.store import inbox, lock, notes, owner
from tuitrain.store.delta import Cursor, Delta, SegmentsAfter
from tuitrain.store.event_log import EventLog
from tuitrain.store.named_code import named_by_user
from tuitrain.store.output import last_lines
from tuitrain.store.paths import RunPaths
from tuitrain.store.reader import RunReader


class Look(NamedTuple):
    """New records of a run, and whether its trainer is alive."""

    alive: bool
    """True if a trainer was alive before `delta` was read; `delta` then ends with no last word."""
    delta: Delta
    pid: int | None


class Client:
    """Access to a run directory. It keeps no file open; any thread may use it."""

    def __init__(self, directory: Path, *, with_series: bool = True) -> None:
        """`with_series` lets `look` read series; a list of runs shows none."""
        self.paths = RunPaths(directory)
        self.record = RunReader(self.paths.record, with_series=with_series)
        self.notes = notes.Notes(self.paths.notes)
        """Returns the notes and tags of the run, oldest first."""

    @property
    def name(self) -> str:
        return self.paths.name

    def spec(self) -> RunSpec:
        """Return the spec of the run."""
        return self.paths.read_spec()

    def has_lost_record(self) -> bool:
        """Return whether the record of the run was removed."""
        return self.paths.has_lost_record

    def is_deleted(self) -> bool:
        """Return whether its directory is gone."""
        return not self.paths.directory.exists()

    def created_at(self) -> float:
        """Return when the run was created, in seconds since the epoch."""
        return self.paths.spec.stat().st_mtime

    def look(self, cursor: Cursor, segments_after: SegmentsAfter | None = None) -> Look:
        """Return whether the trainer is alive and what `RunReader.since` returns.

        While a trainer holds the lock, its last word is withheld: a caller that reads it may at
        once resume or delete the run.
        """
        # check the lock first: a trainer writes its last word before it releases the lock
        alive = lock.is_held(self.paths.lock)
        delta = self.record.since(cursor, segments_after)
        if alive:
            return Look(alive, _without_last_word(delta), self._pid())
        return Look(alive, delta, None)

    def events_after(self, cursor: Cursor) -> tuple[bool, list[Event], Cursor]:
        """Return whether the trainer is alive, the events after `cursor`, and the next cursor."""
        alive = lock.is_held(self.paths.lock)
        return alive, *EventLog(self.paths.record).after(cursor)

    def output(self) -> list[str]:
        """Return the last lines that the trainer and the user's code printed."""
        return last_lines(self.paths.log)

    def send(self, command: Command, at: Boundary | None = None) -> Request:
        """Put a command in the inbox; the events that answer it have the id of the request."""
        request = Request.new(named_by_user(command), at)
        inbox.put(self.paths.inbox, request)
        return request

    def write(self, note: Note) -> None:
        """Add a note or a tag to the run, which may have ended.

        Raises NotPlain, Refused or OSError if it cannot be written.
        """
        notes.append(self.paths.notes, note)

    def withdraw(self, request: Request) -> None:
        """Remove a command from the inbox, if the trainer has not taken it."""
        (self.paths.inbox / f"{request.id}.json").unlink(missing_ok=True)

    def _pid(self) -> int | None:
        try:
            pid: int = value_of(int, "pid", owner.read(self.paths.owner).get("pid"))
        except (OSError, DamagedRecord):
            return None
        return pid


def _without_last_word(delta: Delta) -> Delta:
    """Return the delta and its cursor without a last word at its end."""
    if not delta.events or not isinstance(delta.events[-1].event, LastWord):
        return delta
    cursor = delta.cursor._replace(event=delta.events[-1].id - 1)
    return delta._replace(events=delta.events[:-1], cursor=cursor)
