"""The built-in optimizers, fused where torch has it: one kernel for all weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch.nn import Parameter
from torch.optim import SGD, Adam, AdamW, Optimizer


def adam(weights: Iterable[Parameter], lr: float, device: torch.device) -> Optimizer:
    """Return Adam (D. Kingma, J. Ba, 2015)."""
    return Adam(weights, lr=lr, fused=_can_fuse(device))


def adamw(
    weights: Iterable[Parameter], lr: float, device: torch.device, *, weight_decay: float
) -> Optimizer:
    """Return Adam with decoupled weight decay (I. Loshchilov, F. Hutter, 2019)."""
    return AdamW(weights, lr=lr, weight_decay=weight_decay, fused=_can_fuse(device))


def sgd(
    weights: Iterable[Parameter], lr: float, device: torch.device, *, momentum: float
) -> Optimizer:
    """Return stochastic gradient descent."""
    return SGD(weights, lr=lr, momentum=momentum, fused=_can_fuse(device))


def _can_fuse(device: torch.device) -> bool:
    return device.type in ("cpu", "cuda")
