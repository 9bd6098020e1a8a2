"""The training loss of a run, and the loss function that it is a value of."""

from __future__ import annotations

from tuitrain.core.events import EpochEnded
from tuitrain.view.state.snapshot import Snapshot


def loss_at(run: Snapshot, step: int) -> str:
    """Return the loss that a step of the lineage was trained with."""
    losses = (part.loss for part in run.segments if part.first <= step <= part.last)
    return next(losses, run.loss)


def trained_loss(run: Snapshot, epoch: EpochEnded | None) -> float | None:
    """Return the mean training loss of an epoch.

    None without an epoch, or if no batch of it was trained on its take and with its loss.
    """
    has_trained = epoch is not None and run.lineage.has_trained(epoch)
    return epoch.train_loss if epoch and has_trained else None
