"""Read the parent of a run, whose curves the charts draw behind those of the run."""

from __future__ import annotations

import time
from pathlib import Path

from tuitrain.connection.client import Client
from tuitrain.connection.follower import Follower
from tuitrain.core.spec import Parent
from tuitrain.view.chart.curves import Curves, ReferenceRun

_LOOK_AGAIN_S = 2.0


class ParentRun:
    """Reads the parent at most once in two seconds."""

    def __init__(self, parent: Parent) -> None:
        self._client = Client(Path(parent.directory))
        self._follower = Follower(self._client)
        self._curves = Curves(self._client.record)
        self._reference: ReferenceRun | None = None
        self._next_look_at = 0.0

    def __call__(self) -> ReferenceRun | None:
        """Return the parent as last read; None if it cannot be read, such as after its deletion."""
        if time.monotonic() >= self._next_look_at:
            self._next_look_at = time.monotonic() + _LOOK_AGAIN_S
            try:
                self._reference = ReferenceRun(self._follower.look(), self._curves)
            except Exception:  # noqa: BLE001 - the run is shown without its parent
                self._reference = None
        return self._reference


def curves_of(client: Client) -> Curves:
    """Return the reader for the charts of a run, with the parent, if any, as reference run."""
    parent = client.spec().parent
    return Curves(client.record, ParentRun(parent)) if parent else Curves(client.record)
