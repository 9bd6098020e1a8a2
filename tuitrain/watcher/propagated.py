"""The loss of a step: the sum of what was propagated since the step before."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

Loss = float | Tensor
"""A number, or a scalar that is still on an accelerator. It is a copy: the script may change its
own in place, as `all_reduce` does."""


class Propagated:
    """Adds up the losses of backward passes until a step takes them.

    Of a closure that a step evaluates several times, the first evaluation counts.
    """

    def __init__(self) -> None:
        self.passes, self.samples = 0, 0
        """Backward passes and samples since the last step."""
        self.last: Loss = math.nan
        """That of the newest backward pass."""
        self.device = torch.device("cpu")
        """That of the first loss."""
        self.has_any = False
        """Whether there was a backward pass at all."""
        self._is_plain = False
        """Whether the next pass is the first of a step, neither scaled nor of a closure."""
        self._total: Loss = math.nan
        self._type = torch.float32
        self._evaluations = 0
        self._scaled: Any = None
        """The value that a GradScaler returned, the loss, and the scaler; None without one."""

    def evaluates(self) -> None:
        """Count an evaluation of a closure."""
        self._evaluations += 1
        self._is_plain = False

    def scale(self, scaled: Any, loss: Any, scaler: Any) -> None:
        """Remember which loss a GradScaler scaled."""
        self._scaled = scaled, loss, scaler
        self._is_plain = False

    def add(self, loss: Any, gradient: Any, samples: int = 0) -> None:
        """Add what `torch.autograd.backward` was called with, and the samples that it is of."""
        if self._is_plain and gradient is None and type(loss) is Tensor and loss.is_cpu:
            self.last = self._total = loss.item()  # it has no more than one number
            self.passes, self.samples, self._is_plain = 1, samples, False
            return
        scaled, self._scaled = self._scaled, None
        if self._evaluations > 1:
            return
        if gradient is not None or not isinstance(loss, Tensor) or loss.numel() != 1:
            loss = _dot(loss, gradient)
        elif scaled is not None:
            loss = scaled[1] if loss is scaled[0] else loss.detach() / _scale_of(scaled[2])
        if loss.is_complex():
            loss = loss.real
        value = loss.item() if loss.is_cpu else copied(loss)
        self.last = value
        if self.passes:
            value = copied(self._total_as(loss) + loss.detach().reshape(()))
        elif not self.has_any:
            self.device, self.has_any = loss.device, True
        self._total, self._type = value, loss.dtype
        self.passes += 1
        self.samples += samples

    def _total_as(self, loss: Tensor) -> Tensor:
        """Return the total as the tensor that the script would have added up."""
        if isinstance(self._total, Tensor):
            return self._total.to(loss.device)
        return torch.tensor(self._total, dtype=self._type, device=loss.device)

    def take(self) -> Loss:
        """Return the loss of a step; without a backward pass for it, that of the step before.

        NaN if there was none at all.
        """
        self._is_plain = self.passes == 1 and self._scaled is None
        self.passes, self.samples, self._evaluations = 0, 0, 0
        return self._total


def copied(scalar: Tensor) -> Loss:
    """Return the value; a tensor on an accelerator, since reading it would wait."""
    return scalar.item() if scalar.is_cpu else scalar.detach().clone().reshape(())


def _scale_of(scaler: Any) -> Any:
    """Return the scale, on its device; 1 if the scaler is switched off."""
    scale = getattr(scaler, "_scale", None)
    return 1 if scale is None else scale


@torch.no_grad()
def _dot(losses: Any, gradients: Any) -> Tensor:
    """Return the scalar whose gradient is propagated: the sum of losses times gradients."""
    pairs = [(losses, gradients)]
    if not isinstance(losses, Tensor):
        rest = gradients if gradients is not None else [None] * len(losses)
        pairs = list(zip(losses, rest, strict=True))
    terms = [one.sum() if factor is None else (one * factor).sum() for one, factor in pairs]
    total: Tensor = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
