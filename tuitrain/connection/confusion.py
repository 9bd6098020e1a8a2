"""The confusion matrix of a run's best epoch."""

from __future__ import annotations

from tuitrain.connection.client import Client
from tuitrain.core.decode import decoded
from tuitrain.core.detail import CONFUSION, Confusion
from tuitrain.core.errors import DamagedRecord
from tuitrain.store.schema import key_of
from tuitrain.view.state.snapshot import Snapshot


def best_confusion(client: Client, run: Snapshot) -> Confusion | None:
    """Return the matrix; None if none is kept, or if the record is damaged."""
    if run.best is None:
        return None
    try:
        detail = client.record.detail(key_of(run.best.take, run.best.step), CONFUSION)
        return decoded(Confusion, detail) if detail else None
    except DamagedRecord:  # the rest of the run can still be shown
        return None
