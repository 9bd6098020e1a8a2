"""Each rank has a shard of every weight, by PyTorch's `fully_shard`.

A part of the model is whole on all ranks only while it computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from tuitrain.catalog import OPTIMIZERS
from tuitrain.catalog.new_spec import not_by_itself
from tuitrain.core.errors import Refused
from tuitrain.engine.models import has_sparse_gradients
from tuitrain.engine.ranks.shards import Shards
from tuitrain.engine.ranks.shared import share
from tuitrain.engine.ranks.strategy import Passed
from tuitrain.engine.ranks.units import units_of
from tuitrain.engine.training import Training


class Sharded:
    """The model of a run, with the weights that it has on the first rank."""

    def __init__(self, run: Training) -> None:
        if (reason := _why_not(run)) is not None:
            raise Refused(reason)
        self._divisor = _left_to_divide(run.device)
        self._losses: list[Tensor] = []
        """Those of the passes of a step, on this rank."""
        weights = dict(run.model.named_parameters())
        self._run, self._model = run, _shard(run)
        self._shards = Shards(run, weights)

    @contextmanager
    def passing(self, *, is_last: bool) -> Iterator[None]:
        """Let a forward and a backward pass be made; the last ones of a step add up gradients."""
        if not self._losses:
            share(self._model.buffers())
        self._model.set_requires_gradient_sync(is_last)
        yield

    def forward(self, run: Training, forward: Callable[[], Passed]) -> Passed:
        """Make a forward pass; the loss returned is the one to propagate."""
        output, loss, marks = forward()
        self._losses.append(loss.detach())
        propagated = loss if run.gradient_scale is None else run.gradient_scale.scaled(loss)
        return output, propagated if self._divisor == 1 else propagated / self._divisor, marks

    def mean_loss(self, run: Training) -> Tensor:
        """Return the mean over all ranks of the losses of a step, and give its weights gradients.

        It is not read from the device.
        """
        self._shards.take_gradients()
        loss = torch.stack(self._losses).sum() / run.part.count
        self._losses.clear()
        distributed.all_reduce(loss)
        return loss

    def to_send(self, argument: Any) -> Any:
        """Return an argument of a method of the run as the first rank sends it to the others.

        The state of a run goes without what each of them needs a shard of only.
        """
        is_state = isinstance(argument, dict) and {"model", "optimizer"} <= argument.keys()
        return self._shards.without_shards(self._run, argument) if is_state else argument


def _why_not(run: Training) -> str | None:
    """Return why the weights of a run cannot be sharded; None if they can."""
    if torch.__version__ < "2.8.0a0":  # before, it fails on processors, or measures other numbers
        return f"--strategy fsdp needs PyTorch 2.8 or newer, and this is {torch.__version__}"
    own = type(run.optimizer)
    if own not in {entry.load() for entry in OPTIMIZERS.values() if not entry.needs_whole}:
        return not_by_itself(own.__name__)
    if has_sparse_gradients(run.model):
        return "--strategy fsdp shards no embedding with sparse gradients: leave out sparse=True"
    return (
        "--strategy fsdp shards no compiled model; leave out --compile"
        if run.spec.compile
        else None
    )


@torch.no_grad()
def _shard(run: Training) -> Any:
    """Shard the model, part by part, with the weights that it has on the first rank."""
    mesh = init_device_mesh(run.device.type, (run.part.count,))
    for tensor in (*run.model.parameters(), *run.model.buffers()):
        value = tensor.detach().contiguous()
        distributed.broadcast(value, 0)
        tensor.copy_(value)
    try:
        for part in (*units_of(run.model), run.model):
            fully_shard(part, mesh=mesh, reshard_after_forward=True)
            made = type(part)
            made.__name__ = made.__name__.removeprefix("FSDP")  # its layers are told by it
    except (AssertionError, NotImplementedError, ValueError) as error:
        raise Refused(f"--strategy fsdp: {error}") from error
    return run.model


def _left_to_divide(device: torch.device) -> float:
    """Return by what an average of gradients is too large.

    Over Gloo, some versions of PyTorch add up where they should average:
    https://github.com/pytorch/pytorch/issues/162338
    """
    own, count = torch.empty(1, device=device), distributed.get_world_size()
    ones = torch.ones(count, device=device)
    # its newer name, and the one that it had before
    reduce = (
        getattr(distributed, "reduce_scatter_single", None) or distributed.reduce_scatter_tensor
    )
    try:
        reduce(own, ones, op=distributed.ReduceOp.AVG)
    except RuntimeError as error:
        raise Refused(f"--strategy fsdp needs a newer PyTorch on this device: {error}") from error
    return round(float(own))
