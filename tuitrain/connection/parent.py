"""The run that another one was made from, for its charts to draw behind it."""

from __future__ import annotations

import time
from pathlib import Path

from tuitrain.connection.client import Client
from tuitrain.connection.follower import Follower
from tuitrain.core.spec import Parent
from tuitrain.view.chart.curves import Curves, ReferenceRun

_LOOK_AGAIN_S = 2.0


class ParentRun:
    """Reads the parent at most every two seconds. A deleted parent is not drawn."""

    def __init__(self, parent: Parent) -> None:
        self._client = Client(Path(parent.directory))
        self._follower = Follower(self._client)
        self._curves = Curves(self._client)
        self._behind: ReferenceRun | None = None
        self._look_at = 0.0

    def __call__(self) -> ReferenceRun | None:
        """Return the latest cached state of the parent; None if it cannot be read."""
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_AGAIN_S
            try:
                self._behind = ReferenceRun(self._follower.look(), self._curves)
            except Exception:  # noqa: BLE001 - a run is shown without its parent
                self._behind = None
        return self._behind


def curves_of(client: Client) -> Curves:
    """Return what reads a run for its charts, with its parent behind it."""
    parent = client.spec().parent
    return Curves(client, ParentRun(parent)) if parent else Curves(client)
