"""A run as its record has it now, of which each look reads only what is new."""

from __future__ import annotations

import threading

from tuitrain.client import Client
from tuitrain.store.reader import Cursor
from tuitrain.view.fold import fold
from tuitrain.view.model import Snapshot


class Latest:
    """Keeps what it read. Any thread may look."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._cursor = Cursor()
        self._known: Snapshot | None = None
        self._one_at_a_time = threading.Lock()

    def look(self) -> Snapshot:
        """Return the run as it is now."""
        with self._one_at_a_time:
            alive, delta, pid = self._client.look(self._cursor)
            self._known = fold(self._known or self._begin(), delta, alive=alive, pid=pid)
            self._cursor = delta.cursor
            return self._known

    def _begin(self) -> Snapshot:
        client = self._client
        return Snapshot.begin(
            client.name, client.paths.directory, client.spec(), client.created_at()
        )


def snapshot(client: Client) -> Snapshot:
    """Return the run as its record has it now."""
    return Latest(client).look()
