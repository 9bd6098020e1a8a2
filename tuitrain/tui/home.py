"""The runs of a home; each look reads only what has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from tuitrain.connection.client import Client
from tuitrain.connection.follower import Follower
from tuitrain.core.errors import DamagedRecord, TuitrainError
from tuitrain.core.safe import safe
from tuitrain.store import lock
from tuitrain.store.paths import RunPaths, runs_in
from tuitrain.view.text.listing import Row

_AT_ONCE = 25
"""Runs that are read between two repaints of the list."""


class Home:
    """Knows what it read; for one thread at a time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._known: dict[Path, tuple[tuple[object, ...], Row]] = {}
        self._followers: dict[Path, Follower] = {}

    async def read(self) -> AsyncIterator[list[Row]]:
        """Yield the rows that are read so far, newest first, again and again until all are.

        They are read in a thread. Raises OSError for a home that cannot be read.
        """
        rows: list[Row] = []
        reading = self.rows()
        while some := await asyncio.to_thread(lambda: list(islice(reading, _AT_ONCE))):
            rows = [*rows, *some]
            yield rows

    def rows(self) -> Iterator[Row]:
        """Yield every run, newest first; those that ended are not read again."""
        found = runs_in(self.directory)
        for paths in found:
            yield self._row(paths)
        there = {paths.directory for paths in found}
        for gone in self._known.keys() - there:
            del self._known[gone]
            self._followers.pop(gone, None)

    def _row(self, paths: RunPaths) -> Row:
        marks = _marks(paths)
        known = self._known.get(paths.directory)
        if known is not None and known[0] == marks and not marks[0]:
            return known[1]
        try:
            row = Row(paths.directory, self._follower(paths).look())
        except Exception as error:  # noqa: BLE001 - one bad run hides no other
            row = Row(paths.directory, None, _reason(error))
            self._followers.pop(paths.directory, None)
        self._known[paths.directory] = marks, row
        return row

    def _follower(self, paths: RunPaths) -> Follower:
        """Return what follows a run; one that had ended is read anew, since it may be another."""
        known = self._followers.get(paths.directory)
        if known is None or known.run.has_ended:
            known = self._followers[paths.directory] = Follower(Client(paths.directory))
        return known


def _reason(error: Exception) -> str:
    if isinstance(error, DamagedRecord):
        return safe(error.reason)
    return safe(error) if isinstance(error, TuitrainError | OSError) else type(error).__name__


def _marks(paths: RunPaths) -> tuple[object, ...]:
    """Return what differs when there is something new to read; first, whether it is trained."""
    times = []
    for path in (paths.spec, paths.record, paths.record.with_name(paths.record.name + "-wal")):
        try:
            stat = path.stat()
        except OSError:
            times.append((0, 0))
        else:
            times.append((stat.st_mtime_ns, stat.st_size))
    is_held = False
    with suppress(OSError):  # reading it says what is wrong
        is_held = lock.is_held(paths.lock)
    return is_held, *times
