"""The scale of a loss by which small gradients of 16-bit floats do not become 0."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

_INITIAL = 2.0**16
_GROWTH, _BACKOFF, _GROW_EVERY = 2.0, 0.5, 2000
"""As in `torch.amp.GradScaler`."""


def gradients_of(weights: Iterable[Parameter]) -> Iterator[Tensor]:
    """Yield each gradient; for a sparse one, its values."""
    for weight in weights:
        gradient = weight.grad
        if gradient is not None:
            yield gradient._values() if gradient.is_sparse else gradient


class GradientScale:
    """Scales a loss and its gradients by the rule of `torch.amp.GradScaler`.

    A step whose scaled gradients overflow is left out and halves the scale: that is part of its
    search, and no NaN in the training. Nothing is read from the device.
    https://docs.pytorch.org/docs/stable/amp.html#gradient-scaling
    """

    def __init__(self, device: torch.device) -> None:
        self._scale = torch.full((), _INITIAL, device=device)
        self._successes = torch.zeros((), dtype=torch.int32, device=device)

    def scaled(self, loss: Tensor) -> Tensor:
        """Return the loss whose gradients are the scaled ones."""
        return loss * self._scale

    def unscale(self, weights: Iterable[Parameter]) -> Tensor:
        """Divide the gradients by the scale; return 1 if one of them is not finite, else 0."""
        overflow = torch.zeros_like(self._scale)
        inverse = self._scale.double().reciprocal().float()
        torch._amp_foreach_non_finite_check_and_unscale_(
            [*gradients_of(weights)], overflow, inverse
        )
        return overflow

    def is_at_end(self) -> Tensor:
        """Return 1 if a smaller scale would not help: then an overflow is one of the gradients."""
        return (self._scale <= 1).float()

    def update(self, overflow: Tensor) -> None:
        """Halve the scale after an overflow, but not below 1; double it after 2,000 without one.

        Below 1, to unscale would make finite gradients overflow.
        """
        torch._amp_update_scale_(
            self._scale, self._successes, overflow, _GROWTH, _BACKOFF, _GROW_EVERY
        )
        self._scale.clamp_(min=1)

    def state(self) -> dict[str, Tensor]:
        return {"scale": self._scale, "successes": self._successes}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._scale.copy_(state["scale"])
        self._successes.copy_(state["successes"])
