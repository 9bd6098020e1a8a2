"""Numbers about an epoch, gathered on the device and read once."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from tuitrain.core.catalog import Kind
from tuitrain.engine.device import read

_PENDING = 256


class RunningMean:
    """Mean of batch losses, weighted by their samples, without waiting for the device."""

    def __init__(self) -> None:
        self._pending: list[tuple[Tensor, int]] = []
        self._total: Tensor | float = 0.0
        self._samples = 0

    def add(self, loss: Tensor, samples: int) -> None:
        """Take one batch's mean loss, a detached scalar, and how many samples it is over."""
        self._pending.append((loss, samples))
        if len(self._pending) == _PENDING:
            self._fold()

    def value(self) -> float:
        """Return the mean so far; NaN before the first batch. Waits for the device."""
        weights = [samples for _, samples in self._pending]
        samples = self._samples + sum(weights)
        if not samples:
            return math.nan
        losses = read([loss for loss, _ in self._pending])
        total = sum(loss * weight for loss, weight in zip(losses, weights, strict=True))
        return (float(self._total) + total) / samples

    def _fold(self) -> None:
        losses = torch.stack([loss for loss, _ in self._pending]).double()
        counts = [samples for _, samples in self._pending]
        weights = torch.tensor(counts, dtype=torch.float64, device=losses.device)
        self._total = self._total + losses @ weights
        self._samples += sum(counts)
        self._pending = []


def correct(logits: Tensor, targets: Tensor) -> Tensor:
    """Return how many of the classes (N,) have the largest logit (N, C), as a scalar."""
    return (logits.argmax(dim=1) == targets).sum()


def leading(kind: Kind) -> tuple[str, int]:
    """Return the metric by which epochs of such a problem are compared, and 1 if more is better."""
    return ("accuracy", 1) if kind != "regression" else ("rmse", -1)


class Best:
    """Knows the best value of the leading metric so far."""

    def __init__(self, kind: Kind) -> None:
        self.metric, self._sign = leading(kind)
        self.value = math.nan

    def improved_by(self, metrics: Mapping[str, float]) -> bool:
        """Take an epoch's metrics and return whether it is the best so far; NaN never is."""
        value = metrics[self.metric]
        if math.isnan(value) or self._sign * value <= self._sign * self.value:
            return False
        self.value = value
        return True
