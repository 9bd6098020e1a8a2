"""The model, schedulers and scalers of a watched loop, found among the objects of its process.

They are searched for once an optimizer's first step, and before a state is saved: a hook on every
module's call would slow down the loop.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

_WRAPPERS = (
    "OptimizedModule", "DataParallel", "DistributedDataParallel", "FullyShardedDataParallel"
)  # fmt: skip
_DIGESTED = 64


def parameters_of(optimizer: Optimizer) -> list[nn.Parameter]:
    """Return the parameters of all groups."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def model_of(optimizer: Optimizer) -> nn.Module | None:
    """Return the module that has the parameters of the optimizer; None if there is none.

    Of several, it is the one with the fewest parameters besides, then the outermost one that is no
    wrapper as those of DDP and `torch.compile`.
    """
    wanted = {id(parameter) for parameter in parameters_of(optimizer)}
    owners: list[tuple[int, int, nn.Module]] = []
    for module in _all(nn.Module):
        with suppress(Exception):  # it may be half made, or of a class of its own mind
            parameters = {id(parameter) for parameter in module.parameters()}
            if wanted <= parameters and type(module).__name__ not in _WRAPPERS:
                owners.append((len(parameters), -sum(1 for _ in module.modules()), module))
    return min(owners, key=lambda sized: sized[:2])[2] if owners else None


def schedulers() -> Iterable[Any]:
    """Return all learning-rate schedulers; their order differs from one search to the next."""
    from torch.optim.lr_scheduler import LRScheduler

    return _all(LRScheduler)


def is_sharded(optimizer: Optimizer) -> bool:
    """Return whether the parameters, those of a model, or its own state are split among ranks."""
    from torch.distributed.tensor import DTensor

    if type(optimizer).__name__ == "ZeroRedundancyOptimizer":
        return True
    wrapped = (type(module).__name__ == "FullyShardedDataParallel" for module in _all(nn.Module))
    return any(isinstance(one, DTensor) for one in parameters_of(optimizer)) or any(wrapped)


def has_optimizer() -> bool:
    """Return whether there is any optimizer of PyTorch in this process."""
    return next(iter(_all(Optimizer)), None) is not None


def named(is_wanted: Callable[[type], bool]) -> Iterator[Any]:
    """Yield the objects of the classes that are wanted."""
    return (one for one in gc.get_objects() if is_wanted(type(one)))


def _all(kind: type) -> Iterable[Any]:
    """Return the objects of a class. `isinstance` would ask lazy objects, which then load."""
    return [one for one in gc.get_objects() if issubclass(type(one), kind)]


def digest_of(optimizer: Optimizer) -> str:
    """Return a digest of the first numbers of each parameter: the same on ranks that are alike."""
    digest = hashlib.sha256()
    for parameter in parameters_of(optimizer):
        digest.update(f"{tuple(parameter.shape)} {parameter.dtype}".encode())
        with suppress(Exception):  # it may be of a kind that has no numbers here
            first = parameter.detach().reshape(-1)[:_DIGESTED].cpu()
            digest.update(first.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
