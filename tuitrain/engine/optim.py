"""Optimizers, fused where torch has a kernel for all weights at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import nn
from torch.nn import Parameter
from torch.optim import SGD, Adagrad, Optimizer, SparseAdam

from tuitrain.catalog import optimizer_named, read_options
from tuitrain.catalog.choice import Choice
from tuitrain.catalog.entry import load
from tuitrain.core.errors import Refused
from tuitrain.engine.muon import MuonAdamW


def build_optimizer(optimizer: str, model: nn.Module, lr: float, device: torch.device) -> Optimizer:
    """Return the optimizer that `NAME[:...]` describes, for the trainable weights of a model.

    Raises Refused if the model has no weights for it, or PyTorch is too old.
    """
    choice = Choice.read("optimizer", optimizer)
    entry = optimizer_named(choice.name)
    options = read_options(entry, choice.options)
    options.pop("schedule", None)  # the loop follows it
    _leave_compiler_out()
    weights = trainable(model)
    try:
        of_model = {key: load(place)(model) for key, place in entry.of_model.items()}
        made = partial(entry.load(), lr=lr, **options, **of_model)
        if entry.is_fused:
            return _fused(made, weights, device)
        unfused: Optimizer = made(weights, **entry.on(device.type))
    except ValueError as error:
        raise Refused(f"{entry.name}: {error}") from None
    return unfused


def trainable(model: nn.Module) -> tuple[Parameter, ...]:
    """Return the weights of a model that are trained."""
    return tuple(weight for weight in model.parameters() if weight.requires_grad)


def _leave_compiler_out() -> None:
    """Keep `Optimizer` from importing PyTorch's compiler, which takes as long as PyTorch itself.

    Its methods look in a function attribute for a variant that the compiler does not trace, and
    import the compiler to make one if it is missing. Without compilation the function itself
    serves.
    """
    for method in vars(Optimizer).values():
        if (function := getattr(method, "__wrapped__", None)) is not None:
            setattr(function, "__dynamo_disable", function)


def take_step(optimizer: Optimizer) -> None:
    """Take a step, as `optimizer.step()` does, without PyTorch's wrappers.

    The wrappers are hooks, which nothing here registers, a profiler record, and marks for the
    compiler, which they import.
    """
    parts = optimizer.parts if isinstance(optimizer, MuonAdamW) else (optimizer,)
    with torch.no_grad():
        for part in parts:
            _unwrapped(type(part).step)(part)


@cache
def _unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    unwrapped: Callable[..., Any] = inspect.unwrap(function)
    return unwrapped


def take_sparse_gradients(optimizer: Optimizer) -> None:
    """Use the unfused step, which takes sparse gradients; Refused if the optimizer has none."""
    if not isinstance(optimizer, SGD | Adagrad | SparseAdam):
        name = type(optimizer).__name__
        raise Refused(
            f"{name} cannot take the sparse gradients of an embedding; sgd and adagrad can"
        )
    # without a choice PyTorch warns
    torch.sparse.check_sparse_tensor_invariants.disable()  # type: ignore[no-untyped-call]  # untyped
    for options in (optimizer.defaults, *optimizer.param_groups):
        if "fused" in options:
            options["fused"] = False


def _fused(
    made: Callable[..., Optimizer], weights: Sequence[Parameter], device: torch.device
) -> Optimizer:
    """Return the optimizer, fused unless the device or a weight's dtype has no kernel for it."""
    if device.type in ("cpu", "cuda") and all(
        _has_kernel(made, dtype, device) for dtype in {weight.dtype for weight in weights}
    ):
        return made(weights, fused=True)
    return made(weights, fused=False)


def _has_kernel(made: Callable[..., Optimizer], dtype: torch.dtype, device: torch.device) -> bool:
    """Return whether the fused optimizer supports such weights; takes one step to find out."""
    weight = Parameter(torch.zeros(1, dtype=dtype, device=device))
    weight.grad = torch.zeros_like(weight)
    try:
        take_step(made([weight], fused=True))
    except RuntimeError:
        return False
    return True
