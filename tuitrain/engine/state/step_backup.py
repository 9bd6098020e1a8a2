"""Copies of weights and optimizer state from before a step, to take back a nonfinite one."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from tuitrain.engine.state.buffers import Copies


class StepBackup:
    """Copies of what a step of an optimizer changes, where all of it is on one device."""

    def __init__(self, optimizer: Optimizer, weights: tuple[Parameter, ...]) -> None:
        self._state, self._size = optimizer.state, len(optimizer.state)
        states = [(state, name) for state in optimizer.state.values() for name in state
                  if isinstance(state[name], Tensor)]  # fmt: skip
        self.copies = Copies([*(({"": weight}, "") for weight in weights), *states])

    def is_of(self, optimizer: Optimizer) -> bool:
        """Return whether it has the tensors that the optimizer uses now."""
        return optimizer.state is self._state and len(optimizer.state) == self._size


def can_take_back(optimizer: Optimizer, weights: tuple[Parameter, ...]) -> bool:
    """Return whether copies of weights and state, selected on their device, take back a step.

    Not the first step, which creates the state, nor that of an optimizer that keeps numbers on the
    host or that is the user's own.
    """
    if not type(optimizer).__module__.startswith(("torch.optim", "tuitrain.")):
        return False
    if any(weight.grad is not None and weight not in optimizer.state for weight in weights):
        return False
    devices = {weight.device for weight in weights}
    values: list[Any] = [value for state in optimizer.state.values() for value in state.values()]
    return len(devices) == 1 and all(
        isinstance(value, Tensor) and value.device in devices
        for value in values
        if value is not None
    )
