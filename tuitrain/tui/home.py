"""The runs of a home, read as far as they changed since the last look."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from tuitrain.client import Client
from tuitrain.core.errors import TuitrainError
from tuitrain.core.safe import safe
from tuitrain.store import lock
from tuitrain.store.paths import RunPaths, runs_in
from tuitrain.store.reader import Cursor
from tuitrain.view.fold import fold
from tuitrain.view.listing import Row
from tuitrain.view.model import Snapshot


class Home:
    """Knows what it read; for one thread at a time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._known: dict[Path, tuple[tuple[object, ...], Row, Cursor]] = {}

    def rows(self) -> Iterator[Row]:
        """Yield every run, newest first; those that ended are not read again."""
        found = runs_in(self.directory)
        for paths in found:
            yield self._row(paths)
        there = {paths.directory for paths in found}
        self._known = {path: known for path, known in self._known.items() if path in there}

    def _row(self, paths: RunPaths) -> Row:
        marks = _marks(paths)
        known = self._known.get(paths.directory)
        if known is not None and known[0] == marks and not marks[0]:
            return known[1]
        try:
            row, cursor = _read(paths, known)
        except (TuitrainError, OSError, ValueError, sqlite3.Error) as error:
            row, cursor = Row(paths.directory, None, safe(error)), Cursor()
        self._known[paths.directory] = marks, row, cursor
        return row


def _read(
    paths: RunPaths, known: tuple[tuple[object, ...], Row, Cursor] | None
) -> tuple[Row, Cursor]:
    client = Client(paths.directory)
    now, cursor = (known[1].run, known[2]) if known else (None, Cursor())
    if now is None or now.has_ended:
        now, cursor = (
            Snapshot.begin(client.name, paths.directory, client.spec(), client.created_at()),
            Cursor(),
        )
    alive, delta, pid = client.look(cursor)
    return Row(paths.directory, fold(now, delta, alive=alive, pid=pid)), delta.cursor


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
    return lock.is_held(paths.lock), *times
