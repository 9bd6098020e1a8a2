"""The losses, and which of them fit a problem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tuitrain.catalog.class_losses import CLASS_LOSSES
from tuitrain.catalog.loss import Loss
from tuitrain.catalog.regression_losses import REGRESSION_LOSSES

LOSSES: Mapping[str, Loss] = {loss.name: loss for loss in (*CLASS_LOSSES, *REGRESSION_LOSSES)}

_USUAL: Mapping[str, str] = {
    "multiclass": "cross-entropy",
    "binary": "bce-with-logits",
    "multilabel": "bce-with-logits",
    "regression": "mse",
}


def loss_aliases(names: Iterable[str]) -> dict[str, str]:
    """Return the names of these losses by their other names."""
    known = [LOSSES[name] for name in names if name in LOSSES]
    return {alias: loss.name for loss in known for alias in loss.aliases}


def fitting_losses(kind: str | None, *, has_counts: bool = False) -> list[Loss]:
    """Return the losses that support that problem kind, the default first.

    `has_counts`: the targets are 0 or more in their own unit, so that losses for counts fit.
    """
    fitting = [
        loss for loss in LOSSES.values()
        if kind in loss.takes and (has_counts or not loss.only_counts)
    ]  # fmt: skip
    return sorted(fitting, key=lambda loss: loss.name != _USUAL.get(str(kind)))
