"""Steps of an optimizer by the shortest way: for a fused Adam, one call of PyTorch's kernel.

`Adam.step` collects the same lists of tensors anew at every step, and groups them by device and
dtype: on a small model that takes about as long as the kernel itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Adam, AdamW, Optimizer

from tuitrain.engine.optim import take_step


class Steps:
    """Takes the steps of an optimizer, to the bit as its `step` does."""

    def __init__(self) -> None:
        self._state: object = None
        self._size = -1
        """The state for which `_adam` was made, and its size: the first step fills it."""
        self._adam: _FusedAdam | None = None

    def take(self, optimizer: Optimizer) -> None:
        """Take a step."""
        state = optimizer.state
        if state is not self._state or len(state) != self._size:
            self._state, self._size = state, len(state)
            self._adam = _FusedAdam(optimizer) if _is_fused_adam(optimizer) else None
        if self._adam is None or not self._adam.take_step():
            take_step(optimizer)


def _is_fused_adam(optimizer: Optimizer) -> bool:
    """Return whether it is a fused Adam, or AdamW, that took a step for all its weights."""
    if type(optimizer) not in (Adam, AdamW) or len(optimizer.param_groups) != 1:
        return False
    group = optimizer.param_groups[0]
    weights = group["params"]
    return (
        bool(group["fused"])
        and not (group["amsgrad"] or group["capturable"] or group["differentiable"])
        and not any(isinstance(value, Tensor) for value in (group["lr"], *group["betas"]))
        and all(weight in optimizer.state for weight in weights)
        and len({(weight.device, weight.dtype) for weight in weights}) == 1
    )


class _FusedAdam:
    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._weights: Sequence[Parameter] = optimizer.param_groups[0]["params"]
        self._lists = [
            [optimizer.state[weight][name] for weight in self._weights]
            for name in ("exp_avg", "exp_avg_sq", "step")
        ]
        is_adam = type(optimizer) is Adam
        self._kernel: Any = torch._fused_adam_ if is_adam else torch._fused_adamw_

    def take_step(self) -> bool:
        """Take a step; return False, and do nothing, if a weight has no gradient."""
        gradients = [weight.grad for weight in self._weights]
        for gradient in gradients:
            if gradient is None:
                return False
        means, squares, steps = self._lists
        group = self._optimizer.param_groups[0]
        beta1, beta2 = group["betas"]
        grad_scale = getattr(self._optimizer, "grad_scale", None)
        found_inf: Tensor | None = getattr(self._optimizer, "found_inf", None)
        with torch.no_grad():
            torch._foreach_add_(steps, 1)
            self._kernel(
                self._weights, gradients, means, squares, [], steps,
                lr=group["lr"], beta1=beta1, beta2=beta2, weight_decay=group["weight_decay"],
                eps=group["eps"], amsgrad=False, maximize=group["maximize"],
                grad_scale=grad_scale, found_inf=found_inf,
            )  # fmt: skip
            if found_inf is not None:  # a step that was skipped does not count
                torch._foreach_sub_(steps, [found_inf] * len(steps))
        return True
