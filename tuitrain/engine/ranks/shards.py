"""The shards that a rank has of the weights, of their gradients, and of the optimizer's state.

To the engine they are weights as any other: what computes number by number needs no more. What
needs more asks `Shards`, on all ranks at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn import Parameter
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from tuitrain.engine.held import Held
from tuitrain.engine.state.buffers import Copies, buffers
from tuitrain.engine.training import Training


class Shards(Held):
    """Shards, each in the memory of the model's own; whole ones have the form of `Held`'s."""

    is_whole = False
    why_not_copied = "with --strategy fsdp no process has the whole model, to train a copy of it"

    def __init__(self, run: Training, before: Mapping[str, Parameter]) -> None:
        """Take over a run whose model was just sharded; `before` are the weights it had."""
        sharded = dict(run.model.named_parameters())
        self._own = own = {name: _own(weight) for name, weight in sharded.items()}
        self._weights: list[tuple[Parameter, Any]] = [(own[name], sharded[name]) for name in own]
        self._of_shard: dict[int, Any] = {id(own): weight for own, weight in self._weights}
        run.weights = tuple(weight for weight in own.values() if weight.requires_grad)
        run.keep_buffers()
        run.held = self
        self._let_train(run, {id(weight): own[name] for name, weight in before.items()})

    def _let_train(self, run: Training, shards: Mapping[int, Parameter]) -> None:
        """Give the optimizer the shards, by the `id` of each weight that it has."""
        optimizer, state = run.optimizer, run.optimizer.state_dict()
        for group in optimizer.param_groups:
            group["params"] = [shards.get(id(weight), weight) for weight in group["params"]]
        optimizer.state.clear()
        self.load_optimizer_state(run, state)

    @property
    def conditions(self) -> dict[str, str]:
        """What a bit-for-bit repetition depends on."""
        return {"strategy": "fsdp"}

    @torch.no_grad()
    def take_gradients(self) -> None:
        """Move the gradients that a backward pass left to the shards."""
        for own, weight in self._weights:
            gradient, weight.grad = weight.grad, None
            shard = weight.to_local()
            if own.data_ptr() != shard.data_ptr():  # some versions of PyTorch move it
                own.data = shard
            if gradient is not None:
                own.grad = gradient.to_local()

    def of_model(self, run: Training) -> Sequence[Tensor]:
        """Return the trainable weights as the model has them, in order."""
        return [self._of_shard[id(weight)] for weight in run.weights]

    @contextmanager
    def aside(self, run: Training) -> Iterator[tuple[nn.Module, Sequence[Tensor]]]:
        """Yield the model itself; after the block, weights, buffers and mode are as before."""
        before = Copies([*(({"": weight}, "") for weight in run.weights), *buffers(run.model)])
        before.keep()
        is_training = run.model.training
        try:
            yield run.model, run.weights
        finally:
            before.restore()
            run.model.train(is_training)

    def weights(self, run: Training) -> dict[str, Any]:
        """Return the `state_dict` of the model, with whole weights on the first rank."""
        state = run.model.state_dict()
        state.update({name: _full(value) for name, value in state.items() if _is_sharded(value)})
        return state

    def load_weights(self, run: Training, weights: Mapping[str, Any]) -> None:
        """Load what `weights` returned; RuntimeError, as of `load_state_dict`, if it does not fit.

        The first rank alone needs the values.
        """
        sharded = run.model.state_dict()
        own = {name: _as(sharded.get(name), value) for name, value in weights.items()}
        run.model.load_state_dict(own)

    def optimizer_state(self, run: Training) -> dict[str, Any]:
        """Return the `state_dict` of the optimizer, with whole tensors on the first rank."""
        return self._each(run, run.optimizer.state_dict(), _whole_of)

    def load_optimizer_state(self, run: Training, state: Mapping[str, Any]) -> None:
        """Load what `optimizer_state` returned; the first rank alone needs the values."""
        run.optimizer.load_state_dict(self._each(run, state, _shard_of))

    def without_shards(self, run: Training, state: Mapping[str, Any]) -> dict[str, Any]:
        """Return the state of a run without the values of what is sharded."""
        sharded = run.model.state_dict()
        model = {
            name: _without_values(sharded.get(name), value)
            for name, value in state["model"].items()
        }
        optimizer = self._each(run, state["optimizer"], _without_values)
        return {**state, "model": model, "optimizer": optimizer}

    def agreed(self, run: Training, flag: Tensor) -> Tensor:
        """Return 1 if the flag, 0 or 1, is set on any rank; the norm of the gradients goes along.

        Neither is read from the device.
        """
        gradients = [weight.grad for weight in run.weights if weight.grad is not None]
        square = get_total_norm(gradients).to(flag).square()
        flags, squares = self.summed(torch.stack((flag, square))).unbind()
        run.unclipped_norm = squares.sqrt()
        return flags.clamp(max=1)

    def summed(self, sums: Tensor) -> Tensor:
        """Return sums over whole weights, of sums over the shards."""
        distributed.all_reduce(sums)
        return sums

    def named_weights(self, run: Training) -> Iterable[tuple[str, Tensor]]:
        """Return this rank's shard of each weight, by its name."""
        del run
        return self._own.items()

    def least(self, run: Training, index: int) -> int:
        """Return the least index that any rank has found in its shards."""
        found = torch.tensor(index, device=run.device)
        distributed.all_reduce(found, distributed.ReduceOp.MIN)
        return int(found)

    def clip(self, run: Training, most: float) -> Tensor:
        """Clip the 2-norm of all gradients together; return it as it was before."""
        assert run.unclipped_norm is not None
        clip_grads_with_norm_(run.weights, most, run.unclipped_norm)
        return run.unclipped_norm

    def _each(
        self, run: Training, state: Mapping[str, Any], of: Callable[[Any, Any], Any]
    ) -> dict[str, Any]:
        """Return an optimizer's state with `of(weight, value)` for each value that a weight has."""
        groups = run.optimizer.param_groups
        shards = [weight for group in groups for weight in group["params"]]
        weights = {number: self._of_shard.get(id(shard)) for number, shard in enumerate(shards)}
        return {
            **state,
            "state": {
                number: {name: of(weights.get(number), value) for name, value in values.items()}
                for number, values in state["state"].items()
            },
        }


@torch.no_grad()
def _own(weight: Any) -> Parameter:
    """Return this rank's shard of a weight, in the same memory."""
    return Parameter(weight.to_local(), requires_grad=weight.requires_grad)


def _is_sharded(value: Any) -> bool:
    return isinstance(value, DTensor)


def _full(sharded: Any) -> Tensor:
    """Return a whole tensor in host memory; on other ranks than the first, without its values."""
    whole: Tensor = sharded.full_tensor().to("meta" if distributed.get_rank() else "cpu")
    return whole


def _has_shape(shape: torch.Size, value: Any) -> bool:
    return isinstance(value, Tensor) and value.dim() > 0 and value.shape == shape


@torch.no_grad()
def _whole_of(weight: Any, value: Any) -> Any:
    """Return a value that the optimizer keeps of a shard for the whole weight."""
    if weight is None or not _has_shape(weight.to_local().shape, value):
        return value
    sharded = DTensor.from_local(
        value, weight.device_mesh, weight.placements, run_check=False, shape=weight.shape,
        stride=weight.stride(),
    )  # fmt: skip
    return _full(sharded)


def _as(weight: Any, value: Any) -> Any:
    """Return the shards of a whole tensor that the first rank has, as the weight has them."""
    if not _is_sharded(weight) or not _has_shape(weight.shape, value):
        return value
    if value.is_meta:
        value = torch.empty(value.shape, dtype=value.dtype)
    value = value.detach().to(weight.device)
    return distribute_tensor(value, weight.device_mesh, weight.placements)


def _shard_of(weight: Any, value: Any) -> Any:
    """Return this rank's shard of a whole value that the optimizer keeps of a weight."""
    sharded = _as(weight, value)
    return sharded.to_local() if _is_sharded(sharded) else value


def _without_values(weight: Any, value: Any) -> Any:
    is_sharded = _is_sharded(weight) and _has_shape(weight.shape, value)
    return value.to("meta") if is_sharded else value
