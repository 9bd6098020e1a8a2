"""A criterion of the user's own, as a loss function that can be seen and swapped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

OWN = "criterion"
"""The function of a call of such a criterion: no function of `torch.nn.functional`."""


class WatchedForward:
    """Takes the place of a criterion's `forward`, on that one instance.

    Pickled or copied, it is the plain method again, so that files need no tuitrain.
    """

    def __init__(
        self, criterion: nn.Module, watched: Callable[[Callable[..., Tensor]], Callable[..., Any]]
    ) -> None:
        self._criterion = criterion
        self._call = watched(criterion.forward)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self._criterion, "forward")  # as Python's own of a method


def is_of_the_users(criterion: object) -> bool:
    """Return whether it is a module that calls no single loss function of PyTorch by itself."""
    return isinstance(criterion, nn.Module) and not type(criterion).__module__.startswith(
        "torch.nn.modules.loss"
    )
