"""The built-in optimizers, fused where torch has it: one kernel for all weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import torch
from torch.nn import Parameter
from torch.optim import SGD, Adam, AdamW, Optimizer

from tuitrain.core.catalog import find, read_options
from tuitrain.core.choice import Choice


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


Schedule = Callable[[float], float]
"""From the share of the run that is trained, 0 to 1, to the share of the learning rate."""

_SCHEDULES: Mapping[str, Schedule | None] = {
    "constant": None,
    "linear": lambda done: 1 - done,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,  # I. Loshchilov, F. Hutter, 2017
}


def built(
    optimizer: str, weights: Iterable[Parameter], lr: float, device: torch.device
) -> tuple[Optimizer, Schedule | None]:
    """Return what `NAME[:...]` stands for, and how its learning rate goes down, if it does."""
    choice = Choice.read("optimizer", optimizer)
    entry = find("optimizer", choice.name)
    options = read_options(entry, choice.options)
    schedule = _SCHEDULES[options.pop("schedule")]
    return entry.load()(weights, lr, device, **options), schedule


def _can_fuse(device: torch.device) -> bool:
    return device.type in ("cpu", "cuda")
