"""Losses that a watched loop evaluates without gradients between two steps: its validation."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from tuitrain.engine.device import precision

_TOGETHER = 256
"""Losses that are kept before they are added up, so that a long validation keeps few tensors."""


class Validations:
    """Mean losses since training went on last, of each loader; weighted by samples."""

    def __init__(self) -> None:
        self._losses: dict[tuple[object, str], list[tuple[Tensor, int]]] = {}

    def __bool__(self) -> bool:
        return bool(self._losses)

    def add(self, loader: object, name: str, loss: Tensor, samples: int) -> None:
        """Add the loss of a batch under the name of its loss function."""
        losses = self._losses.setdefault((loader, name), [])
        losses.append((loss.detach(), samples))
        if len(losses) >= _TOGETHER:
            self._losses[loader, name] = [_sum(losses)]

    def take(self) -> list[dict[str, float]]:
        """Return the mean losses by name, of each loader in the order of first use; clear them."""
        means: dict[object, dict[str, float]] = {}
        for (loader, name), losses in self._losses.items():
            mean, _ = _sum(losses)
            means.setdefault(loader, {})[name] = float(mean)
        self._losses = {}
        return list(means.values())


def _sum(losses: Iterable[tuple[Tensor, int]]) -> tuple[Tensor, int]:
    """Return the mean of batches, and the number of their samples."""
    pairs = list(losses)
    samples = sum(count for _, count in pairs)
    return sum(loss.to(precision(loss.device)) * count for loss, count in pairs) / max(
        1, samples
    ), samples  # type: ignore[return-value]  # the sum of none would be 0
