"""A look at all that a run keeps from step to step: weights, buffers and the optimizer's state.

Each batch is checked before its step, which can still overflow: by a rate too large, in a batch
norm beside a finite loss, or in the squares that Adam keeps of finite gradients.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from tuitrain.core.events import Kept
from tuitrain.engine.device import read

if TYPE_CHECKING:
    from tuitrain.engine.training import Training


class Name(NamedTuple):
    """What a tensor is to its run, and its name there."""

    what: Kept
    name: str


Named = tuple[Name, Tensor]


def first_nonfinite(run: Training) -> Name | None:
    """Return the first tensor of a run with NaN or an infinity; None if there is none.

    Tensors that the model had so from the start, as a mask of -inf, are left out, and so are
    caches, which no checkpoint has: going back to one would not change them.
    """
    caches = {buffer for unsaved in run.unsaved for buffer in unsaved.caches()}
    kept = [(name, tensor) for name, tensor in _kept(run) if id(tensor) not in caches]
    if run.not_looked_at:
        kept = [(name, tensor) for name, tensor in kept if _plain(name) not in run.not_looked_at]
    tensors = [tensor for _, tensor in kept]
    at = run.held.least(run, len(kept) if are_finite(tensors) else _first(tensors))
    return _plain(kept[at][0]) if at < len(kept) else None


def nonfinite_from_the_start(model: nn.Module, loss: object) -> frozenset[Name]:
    """Return which weights and buffers the user's own code has made not finite, on purpose.

    NaN in a weight that is trained has no purpose.
    """
    named = [*_of_module(model, model.named_parameters()), *_of_loss(loss)]
    if are_finite([tensor for _, tensor in named]):
        return frozenset()
    return frozenset(
        _plain(name)
        for name, tensor in named
        if not (are_finite([tensor]) or (tensor.requires_grad and bool(tensor.isnan().any())))
    )


def _plain(name: Name) -> Name:
    """Return a name without the wrappers that `torch.compile` puts around parts of a model."""
    parts = (part for part in name.name.split(".") if part != "_orig_mod")
    return name._replace(name=".".join(parts))


@torch.no_grad()
def are_finite(tensors: Iterable[Tensor]) -> bool:
    """Return whether all numbers are finite, with one read; integers always are.

    Only where a sum over them is not finite, which large ones can overflow, is each looked at.
    """
    tensors = [_numbers(tensor) for tensor in tensors if _has_numbers(tensor)]
    groups: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault((tensor.device, tensor.dtype), []).append(tensor)
    sums = [torch.stack(torch._foreach_norm(group)).sum() for group in groups.values()]
    return all(map(math.isfinite, read(sums))) or all(_flags(tensors))


def _first(tensors: Sequence[Tensor]) -> int:
    """Return the index of the first tensor that is not finite."""
    return next(at for at, tensor in enumerate(tensors) if not are_finite([tensor]))


@torch.no_grad()
def _flags(tensors: Iterable[Tensor]) -> list[float]:
    """Return for each tensor whether all its numbers are finite, after one read."""
    return read([tensor.isfinite().all() for tensor in tensors])


def _has_numbers(tensor: Tensor) -> bool:
    """Return whether a tensor has numbers that may be infinite."""
    dtype = tensor.dtype
    is_inexact = dtype.is_floating_point or dtype.is_complex
    return is_inexact and not tensor.is_meta and tensor.numel() > 0


def _numbers(tensor: Tensor) -> Tensor:
    """Return a tensor of the same numbers in a layout and dtype that foreach kernels accept."""
    if tensor.layout is not torch.strided:
        tensor = (tensor.coalesce() if tensor.is_sparse else tensor).values()
    return tensor.float() if tensor.itemsize == 1 else tensor


def _kept(run: Training) -> Iterator[Named]:
    weights = list(run.held.named_weights(run))
    yield from _of_module(run.model, weights)
    yield from _of_loss(run.criterion)
    names = {id(weight): name for name, weight in weights}
    for weight, state in run.optimizer.state.items():
        if not isinstance(weight, Tensor):
            continue  # one of the user's own may keep what is of no weight
        for name, tensor in _of_state(state):
            if tensor.dim() or not weight.dim():  # others count, or keep the least loss so far
                yield Name("state", f"{names.get(id(weight), '')}.{name}"), tensor


def _of_module(
    module: nn.Module, weights: Iterable[tuple[str, Tensor]], prefix: str = ""
) -> Iterator[Named]:
    for name, weight in weights:
        yield Name("weight", prefix + name), weight
    for name, buffer in module.named_buffers():
        yield Name("buffer", prefix + name), buffer


def _of_loss(loss: object) -> Iterator[Named]:
    if isinstance(loss, nn.Module):
        yield from _of_module(loss, loss.named_parameters(), "loss.")


def _of_state(value: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield each tensor that is kept, by the outermost name that it is kept under."""
    match value:
        case Tensor():
            yield name, value
        case Mapping():
            for key, one in value.items():
                yield from _of_state(one, name or str(key))
        case list() | tuple():
            for one in value:
                yield from _of_state(one, name)
