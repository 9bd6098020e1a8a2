"""The metrics and losses by which the epochs of a run were validated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from tuitrain.core.events import EpochEnded


class Evaluated(NamedTuple):
    """The metrics and losses of the kept epochs, collected once when the epochs change."""

    metrics: frozenset[str] = frozenset()
    """The names of their metrics."""
    losses: Mapping[str, tuple[EpochEnded, EpochEnded]] = MappingProxyType({})
    """The first and the last of the epochs that were validated by a loss, by its text."""

    @classmethod
    def of(cls, epochs: Sequence[EpochEnded]) -> Evaluated:
        """Return what these epochs have, given oldest first."""
        metrics = frozenset[str]().union(*(epoch.metrics for epoch in epochs))
        first, last = _first_by_loss(epochs), _first_by_loss(reversed(epochs))
        return cls(metrics, {loss: (first[loss], last[loss]) for loss in last})

    def trend(self, loss: str) -> tuple[float, float] | None:
        """Return the first and the last validation loss; None before the second validation."""
        if loss not in self.losses:
            return None
        first, last = self.losses[loss]
        return None if first is last else (first.val_losses[loss], last.val_losses[loss])


def _first_by_loss(epochs: Iterable[EpochEnded]) -> dict[str, EpochEnded]:
    """Return the first epoch that was validated by a loss, for each of the losses."""
    first: dict[str, EpochEnded] = {}
    for epoch in epochs:
        if not epoch.val_losses.keys() <= first.keys():
            first = {**dict.fromkeys(epoch.val_losses, epoch), **first}
    return first
