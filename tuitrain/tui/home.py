"""Read the runs of a home; each read opens only those that changed."""

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
from tuitrain.store.notes import stamp_of
from tuitrain.store.paths import RunPaths, runs_in
from tuitrain.view.chart.sparkline import sparkline
from tuitrain.view.text.listing import TREND_CELLS, Row

_AT_FIRST = 8
"""Runs to read before the first repaint of the list; twice as many before each further one."""


class Home:
    """Caches the rows of runs. Not thread-safe."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._cached: dict[Path, tuple[tuple[object, ...], Row]] = {}
        self._followers: dict[Path, Follower] = {}

    async def read(self) -> AsyncIterator[list[Row]]:
        """Yield the rows read so far, newest first, until all are read.

        They are read in a thread. Raises OSError if the home cannot be read.
        """
        rows: list[Row] = []
        reading = self.rows()

        def more() -> list[Row]:
            return list(islice(reading, len(rows) or _AT_FIRST))

        while batch := await asyncio.to_thread(more):
            rows += batch
            yield [*rows]

    def rows(self) -> Iterator[Row]:
        """Yield a row for every run, newest first; ended, unchanged runs are not read again."""
        all_paths = runs_in(self.directory)
        for paths in all_paths:
            yield self._row(paths)
        present = {paths.directory for paths in all_paths}
        for directory in self._cached.keys() - present:
            del self._cached[directory]
            self._followers.pop(directory, None)

    def _row(self, paths: RunPaths) -> Row:
        marks = _marks(paths)
        cached = self._cached.get(paths.directory)
        if cached is not None and cached[0] == marks and not marks[0]:
            return cached[1]
        try:
            follower = self._follower(paths)
            run = follower.look()
            trend = sparkline(run, follower.client.record, TREND_CELLS)
            row = Row(paths.directory, run, trend=trend)
        except Exception as error:  # noqa: BLE001 - an unreadable run must not hide the others
            row = Row(paths.directory, None, _reason(error))
            self._followers.pop(paths.directory, None)
        self._cached[paths.directory] = marks, row
        return row

    def _follower(self, paths: RunPaths) -> Follower:
        """Return the follower of a run; a new one if the run had ended: it may be another."""
        follower = self._followers.get(paths.directory)
        if follower is None or follower.run.has_ended:
            client = Client(paths.directory, with_series=False)
            follower = self._followers[paths.directory] = Follower(client)
        return follower


def _reason(error: Exception) -> str:
    if isinstance(error, DamagedRecord):
        return safe(error.reason)
    return safe(error) if isinstance(error, TuitrainError | OSError) else type(error).__name__


def _marks(paths: RunPaths) -> tuple[object, ...]:
    """Return whether the run is being trained, and the times and sizes of its files."""
    wal = paths.record.with_name(paths.record.name + "-wal")
    stamps = map(stamp_of, (paths.spec, paths.record, wal, paths.notes))
    is_held = False
    with suppress(OSError):  # reading the run reports the error
        is_held = lock.is_held(paths.lock)
    return is_held, *stamps
