"""How the ranks share the weights of a run, and add up their gradients."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from torch import Tensor

from tuitrain.engine.training import Training

Passed = tuple[Tensor, Tensor, tuple[Any, Any]]
"""The output of a forward pass, its loss, and the marks after each of them."""


class Strategy(Protocol):
    """What `--strategy` names."""

    def passing(self, *, is_last: bool) -> AbstractContextManager[None]:
        """Let a forward and a backward pass be made; the last ones of a step add up gradients."""

    def forward(self, run: Training, forward: Callable[[], Passed]) -> Passed:
        """Make a forward pass; the loss returned is the one to propagate."""

    def mean_loss(self, run: Training) -> Tensor:
        """Return the mean over all ranks of the losses of a step, and let it have gradients."""

    def to_send(self, argument: Any) -> Any:
        """Return an argument of a method of the run as the first rank sends it to the others."""
