"""The loss of a step: the sum of what was propagated since the step before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from weakref import ref

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

Loss = float | Tensor
"""A number, or a scalar that is still on an accelerator. It is a copy: the script may change its
own in place, as `all_reduce` does."""


class Propagated:
    """Adds up the losses of backward passes until a step takes them.

    Of a closure that a step evaluates several times, the first evaluation counts.
    """

    __slots__ = (
        "_dtype", "_evaluations", "_scaled", "_scaler", "_total", "device", "has_any", "last",
        "passes", "samples",
    )  # fmt: skip

    def __init__(self) -> None:
        self.passes, self.samples = 0, 0
        """Backward passes and samples since the last step."""
        self.last: Loss = math.nan
        """That of the newest backward pass."""
        self.device = torch.device("cpu")
        """That of the first loss."""
        self.has_any = False
        """Whether there was a backward pass at all."""
        self._total: Loss = math.nan
        """The sum of those of the step in hand."""
        self._dtype = torch.float32
        """That of the total."""
        self._evaluations = 0
        self._scaled: list[tuple[ref[Tensor], Tensor]] = []
        """The values that a GradScaler returned, and the losses, until they are propagated."""
        self._scaler: Any = None
        """It scaled a loss since the pass before; None without one."""

    def evaluates(self) -> None:
        """Count an evaluation of a closure."""
        self._evaluations += 1

    def scale(self, scaled: Any, loss: Any, scaler: Any) -> None:
        """Remember which loss a GradScaler scaled, or which losses."""
        both = [(scaled, loss)] if isinstance(loss, Tensor) else []
        if isinstance(loss, list | tuple):
            both = list(zip(scaled, loss, strict=True))
        alive = [pair for pair in self._scaled if pair[0]() is not None]
        self._scaled = alive + [(ref(one), own.detach()) for one, own in both]
        self._scaler = scaler

    def add(self, loss: Any, gradient: Any, samples: int = 0) -> None:
        """Add what `torch.autograd.backward` was called with, and the samples that it is of."""
        if self._evaluations > 1:
            self._scaler = None
            return
        if gradient is None and isinstance(loss, Tensor):  # it is one real number
            if self._scaled or self._scaler is not None:
                loss = self._unscaled(loss)
        else:
            pairs = _pairs(loss, gradient)
            if not all(isinstance(one, Tensor) for one, _ in pairs):  # it names a node of the graph
                self._total, self.passes = math.nan, self.passes + 1
                self.samples += samples
                return
            loss = _dot([(self._unscaled(one), factor) for one, factor in pairs])
        self._scaler = None
        self.last = value = loss.item() if loss.is_cpu else copied(loss)
        if self.passes:
            value = copied(self._total_as(loss) + loss.detach().reshape(()))
        elif not self.has_any:
            self.device, self.has_any = loss.device, True
        self._total, self._dtype = value, loss.dtype
        self.passes += 1
        self.samples += samples

    def _unscaled(self, loss: Tensor) -> Tensor:
        """Return what a GradScaler made a loss of; one that it never had is as it is."""
        for index, (scaled, own) in enumerate(self._scaled):
            if scaled() is loss:
                del self._scaled[index]
                return own
        return loss if self._scaler is None else loss.detach() / _scale_of(self._scaler)

    def _total_as(self, loss: Tensor) -> Tensor:
        """Return the total as the tensor that the script would have added up."""
        if isinstance(self._total, Tensor):
            return self._total.to(loss.device)
        return torch.tensor(self._total, dtype=self._dtype, device=loss.device)

    def take(self) -> Loss:
        """Return the loss of a step; without a backward pass for it, that of the step before.

        NaN if there was none at all.
        """
        self.passes, self.samples, self._evaluations = 0, 0, 0
        return self._total


def copied(scalar: Tensor) -> Loss:
    """Return the value; a tensor on an accelerator, since reading it would wait."""
    return scalar.item() if scalar.is_cpu else scalar.detach().clone().reshape(())


def _scale_of(scaler: Any) -> Any:
    """Return the scale, on its device; 1 if the scaler is switched off."""
    scale = getattr(scaler, "_scale", None)
    return 1 if scale is None else scale


def _pairs(losses: Any, gradients: Any) -> list[tuple[Any, Tensor | None]]:
    """Return each loss that `torch.autograd.backward` was called with, and its gradient."""
    if isinstance(losses, Tensor | GradientEdge):
        losses = [losses]
    if gradients is None or isinstance(gradients, Tensor):
        gradients = [gradients] * len(losses)
    return list(zip(losses, gradients, strict=True))


@torch.no_grad()
def _dot(pairs: Sequence[tuple[Tensor, Tensor | None]]) -> Tensor:
    """Return the scalar whose gradient is propagated: the sum of losses times gradients."""
    terms = [one if factor is None else one * factor for one, factor in pairs]
    total, *rest = [term.detach() if term.dim() == 0 else term.sum() for term in terms]
    for term in rest:
        total = total + term
    return total.real if total.is_complex() else total
