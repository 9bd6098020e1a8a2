"""Hooks that cannot break the watched loop: whatever fails in them is reported, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tuitrain.watcher.hooks import Watching

_SEEN = {
    "before_loss": "the time of the loss function, and a swapped loss: the script's own is used",
    "after_loss": "the loss function and the validation",
    "before_backward": "the loss of the steps",
    "after_backward": "the time of the backward pass",
    "scaled": "the scale of the losses",
    "before_scaler_step": "steps that a GradScaler skips",
    "after_scaler_step": "steps that a GradScaler skips",
    "before_step": "the changes of the learning rate, weight decay and clipping",
    "after_step": "the steps",
    "before_epoch": "the epochs",
    "before_fetch": "the time of waiting for data",
    "after_fetch": "the epochs",
}  # fmt: skip
"""What is not seen any more without a hook."""
NEEDED = ("before_backward", "after_step")
"""Without these nothing is left to be recorded."""


class Guarded:  # meets Watching, by the attributes that it sets
    """Has the methods of Watching; one that raises is reported and does nothing afterwards.

    A KeyboardInterrupt passes, and so does the end that a stop asks for.
    """

    def __init__(self, watching: Watching, lose: Callable[[str, str, Exception], None]) -> None:
        """`lose` is called with the name of a hook, what is not seen any more, and the error."""
        self._lose = lose
        for name, seen in _SEEN.items():
            setattr(self, name, self._guarded(name, seen, getattr(watching, name)))

    def _guarded(self, name: str, seen: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            try:
                return method(*args)
            except Exception as error:  # noqa: BLE001 - the loop must go on, whatever it is
                setattr(self, name, _nothing)
                self._lose(name, seen, error)
                return None

        return call


def _nothing(*_: Any) -> None:
    """Do nothing."""
