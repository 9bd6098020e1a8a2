"""Optimizers, fused where torch has it: one kernel for all weights; and schedules.

An exported program has a copy of its schedule, so schedules use the standard library only.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any

import torch
from torch.nn import Parameter
from torch.optim import SGD, Optimizer

from tuitrain.core.catalog import SCHEDULES, find, load, read_options
from tuitrain.core.choice import Choice
from tuitrain.core.errors import Refused

Schedule = Callable[[float], float]
"""From the share of the run that is trained, 0 to 1, to the share of the learning rate."""


def linear_schedule(done: float) -> float:
    """Return a share that goes from 1 down to 0 by equal steps."""
    return 1 - done


def cosine_schedule(done: float) -> float:
    """Return a share that goes from 1 down to 0 (I. Loshchilov, F. Hutter, 2017)."""
    return (1 + math.cos(math.pi * done)) / 2


def built(
    optimizer: str, weights: Iterable[Parameter], lr: float, device: torch.device
) -> tuple[Optimizer, Schedule | None]:
    """Return what `NAME[:...]` stands for, and how its learning rate goes down, if it does."""
    choice = Choice.read("optimizer", optimizer)
    entry = find("optimizer", choice.name)
    options = read_options(entry, choice.options)
    place = SCHEDULES[options.pop("schedule")]
    _leave_compiler_out()
    made = partial(entry.load(), lr=lr, **options)
    return _fused(made, weights, device), load(place) if place else None


def _leave_compiler_out() -> None:
    """Keep `Optimizer` from importing PyTorch's compiler, which takes as long as PyTorch itself.

    Its methods look for the variant that the compiler does not trace in an attribute of the
    function, and import the compiler to make one if it is missing. A run that is not compiled is
    served by the function as it is.
    """
    for method in vars(Optimizer).values():
        if (function := getattr(method, "__wrapped__", None)) is not None:
            setattr(function, "__dynamo_disable", function)


def take_step(optimizer: Optimizer) -> None:
    """Take a step, as `optimizer.step()` does.

    Without what PyTorch wraps around that: hooks, which nothing here registers, a profiler's
    record, and marks for the compiler, which is imported for them.
    """
    with torch.no_grad():
        _unwrapped(type(optimizer).step)(optimizer)


@cache
def _unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    unwrapped: Callable[..., Any] = inspect.unwrap(function)
    return unwrapped


def take_sparse_gradients(optimizer: Optimizer) -> None:
    """Let it take sparse gradients, which no fused kernel does; Refused if it never can."""
    if not isinstance(optimizer, SGD):
        name = type(optimizer).__name__
        raise Refused(f"{name} cannot take the sparse gradients of an embedding; sgd can")
    for options in (optimizer.defaults, *optimizer.param_groups):
        options["fused"] = False


def _fused(
    made: Callable[..., Optimizer], weights: Iterable[Parameter], device: torch.device
) -> Optimizer:
    """Return the optimizer, fused unless the device or a weight's dtype has no kernel for it."""
    weights = list(weights)
    if device.type in ("cpu", "cuda") and all(
        _has_kernel(made, dtype, device) for dtype in {each.dtype for each in weights}
    ):
        return made(weights, fused=True)
    return made(weights, fused=False)


def _has_kernel(made: Callable[..., Optimizer], dtype: torch.dtype, device: torch.device) -> bool:
    """Return whether fused steps are taken on such weights; by taking one."""
    tried = Parameter(torch.zeros(1, dtype=dtype, device=device))
    tried.grad = torch.zeros_like(tried)
    try:
        take_step(made([tried], fused=True))
    except RuntimeError:
        return False
    return True
