"""A run, read as far as it changed since the last look."""

from __future__ import annotations

from pathlib import Path

from tuitrain.client import Client
from tuitrain.store.reader import Cursor
from tuitrain.view.curves import Curves
from tuitrain.view.fold import fold
from tuitrain.view.model import Snapshot

_ENDED_EVERY = 5
"""Looks between two at a run that has ended: somebody may resume it."""


class Follower:
    """Knows what it read; for one thread at a time."""

    def __init__(self, directory: Path) -> None:
        self._client = Client(directory)
        client = self._client
        self.run = Snapshot.begin(client.name, directory, client.spec(), client.created_at())
        self.curves = Curves(client)
        self._cursor = Cursor()
        self._looks = 0

    def look(self) -> Snapshot:
        """Return the run as it is now."""
        self._looks += 1
        if not self.run.has_ended or self._looks % _ENDED_EVERY == 0:
            alive, delta, pid = self._client.look(self._cursor)
            self.run, self._cursor = fold(self.run, delta, alive=alive, pid=pid), delta.cursor
        return self.run
