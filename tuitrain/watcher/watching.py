"""The receiver of the hooks on a loop, and what is not seen any more without one of them."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor
from torch.optim import Optimizer

UNSEEN = {
    "before_loss": "a swapped loss: the script's own is used",
    "after_loss": "the loss function and the validation",
    "after_backward": "the loss of the steps",
    "scaled": "the scale of the losses",
    "before_scaler_step": "steps that a GradScaler skips",
    "after_scaler_step": "steps that a GradScaler skips",
    "before_step": "the changes of the learning rate, weight decay and clipping",
    "after_step": "the steps",
    "before_epoch": "the epochs",
    "after_fetch": "the epochs",
}
"""By the name of a hook, what is not seen any more without it."""
NEEDED = ("after_backward", "after_step")
"""Without these nothing is left to be recorded."""

OF_SETTINGS = ("before_loss", "before_step")
"""Without these a user's settings have no effect."""


class Swappable(Protocol):
    """A loop whose loss another one can replace."""

    is_swapped: bool


class Watching(Protocol):
    """The receiver of hooks. The times are those of `perf_counter_ns`."""

    calm: Optimizer | None
    """The optimizer whose next step is only recorded: `before_step` need not be called, but for a
    step that has a closure. None: there may be more to do."""

    @property
    def loop(self) -> Swappable:
        """Only if its loss is swapped, `before_loss` is called."""

    def before_loss(self, name: str, args: tuple[Any, ...], kwargs: Any) -> Tensor | None:
        """A function of LOSSES is called. Return the value that it shall return; None: its own."""

    def after_loss(
        self, name: str, value: Tensor, args: tuple[Any, ...], kwargs: Any, began: int
    ) -> None:
        """It returned; it was called at the time `began`."""

    def after_backward(self, loss: Any, gradient: Any, began: int) -> None:
        """`loss.backward(gradient)` returned, or `torch.autograd.backward` with several losses."""

    def scaled(self, scaled: Any, loss: Any, scaler: Any) -> None:
        """A GradScaler multiplied a loss by its scale."""

    def before_scaler_step(self) -> None:
        """A GradScaler may take a step of the optimizer, or skip it."""

    def after_scaler_step(self) -> None:
        """It took or skipped the step."""

    def before_step(
        self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Return the arguments with which the optimizer shall take its step; None: these."""

    def after_step(self, optimizer: Optimizer) -> None:
        """The optimizer took a step."""

    def before_epoch(self, loader: Any) -> None:
        """A loader begins to yield its batches."""

    def after_fetch(self, iterator: Any, began: int) -> None:
        """The loop waited for a batch and has it; None: there are no more."""
