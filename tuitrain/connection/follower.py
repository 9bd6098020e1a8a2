"""Follow the record of a run; each look reads only new entries."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from tuitrain.connection.client import Client
from tuitrain.core.segment import Segment
from tuitrain.store import busy
from tuitrain.store.delta import Cursor, Delta, Recorded
from tuitrain.view.state.fold import fold, lineage_after
from tuitrain.view.state.snapshot import DELETED, Silence, Snapshot

_T = TypeVar("_T")


class Follower:
    """Caches the snapshot of a run. Any thread may call `look`."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.delta = Delta((), (), None, Cursor())
        """The entries that the last look read."""
        self._run: Snapshot | None = None
        self._one_at_a_time = threading.Lock()

    @property
    def run(self) -> Snapshot:
        """The latest snapshot; before the first look, the run as its spec describes it.

        Raises the errors of `Client.spec`.
        """
        if self._run is None:
            client = self.client
            self._run = Snapshot.begin(
                client.name, client.paths.directory, client.spec(), client.created_at()
            )
        return self._run

    def look(self) -> Snapshot:
        """Read new entries and return the present snapshot."""
        with self._one_at_a_time:
            if self._run is not None and not self._run.spec.is_complete:
                self._run = self._run.completed(self.client.spec())
            before = self.run

            def segments_after(events: Sequence[Recorded]) -> Sequence[Segment]:
                return lineage_after(before, events).segments()

            alive, delta, pid = self.client.look(self.delta.cursor, segments_after)
            run, self.delta = fold(before, delta, alive=alive, pid=pid), delta
            run = replace(run, notes=self.client.notes())
            run = replace(run, busy=self._busy() if alive and run.state != "paused" else None)
            if not alive and self.client.is_deleted():
                run = replace(run, error=DELETED)
            elif run.state == "crashed" and self.client.has_lost_record():
                run = replace(run, error="its record, run.db, is gone")
            self._run = run
            return run

    def until_ended(self, *, every_s: float) -> Iterator[Snapshot]:
        """Look until the run has ended, and yield what each look sees, the end included."""
        while not self.run.has_ended:
            run = self.look()
            yield run
            if not run.has_ended:
                time.sleep(every_s)

    def _busy(self) -> Silence | None:
        silent = busy.read(self.client.paths.busy)
        if silent is None:
            return None
        return Silence(int(time.time() - silent.since), silent.where, silent.is_validating)

    def look_at_a_restart(self, since: Cursor | None) -> Snapshot:
        """Return the snapshot of a resumed run whose new trainer may have recorded nothing yet.

        `since` is the end of the record before that trainer; None if it is not known.
        """
        run = self.look()
        if since is None or self.delta.cursor.event <= since.event:
            run = replace(run, state="starting", stage="", loaded=(0, 0), error=None, why="")
        self._run = run
        return run


def reads_until_end(
    read: Callable[[Cursor], tuple[bool, _T, Cursor]], cursor: Cursor, *, every_s: float
) -> Iterator[_T]:
    """Yield what `read` finds after a cursor, again and again until no trainer is alive.

    It is for those who want events and no snapshot: folding the record of a long run takes longer
    than the answer to a command. `read` returns whether a trainer was alive before it read.
    """
    alive = True
    while alive:
        alive, found, cursor = read(cursor)
        yield found
        if alive:
            time.sleep(every_s)


def snapshot(client: Client) -> Snapshot:
    """Return the present snapshot of a run, read once."""
    return Follower(client).look()
