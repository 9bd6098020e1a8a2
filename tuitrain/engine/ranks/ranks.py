"""The ranks of a run: how each trains its part of every batch, and what they tell one another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from tuitrain.core.errors import Refused
from tuitrain.core.own import own_python
from tuitrain.engine.data import Part
from tuitrain.engine.ranks.group import device_of
from tuitrain.engine.ranks.messages import Call, Channel
from tuitrain.engine.ranks.numbers import Numbers
from tuitrain.engine.state import rng
from tuitrain.engine.steering import Steering
from tuitrain.engine.step import Added, parts_of
from tuitrain.engine.training import Training


class Ranks:
    """This process's place among the ranks, whose process group is there already."""

    def __init__(self) -> None:
        self.part = Part(distributed.get_rank(), distributed.get_world_size())
        self.channel = Channel()
        self._is_calling = False
        self.numbers = Numbers(torch.device("cpu"))
        self._passes: _Passes | None = None
        self._parallel: DistributedDataParallel | None = None

    @property
    def is_first(self) -> bool:
        """Whether this rank decides, and records."""
        return self.part.rank == 0

    def device_of(self, name: str) -> str:
        """Return the device of this rank where the spec has that name."""
        return device_of(name)

    def steering_of(self, run: Training, *arguments: Any, **named: Any) -> Steering:
        """Return the steering of the run on this rank."""
        from tuitrain.engine.ranks.steering import Following, Leading

        return Leading(run, self, *arguments, **named) if self.is_first else Following(run, self)

    def train(self, run: Training) -> None:
        """Let the run be trained by all ranks, with the weights that it has on the first."""
        if (samples := len(run.data.val)) < self.part.count:
            raise Refused(
                f"{samples} validation samples are not enough for {self.part.count} ranks"
            )
        self._passes, self.numbers = _Passes(run.model, run.device), Numbers(run.device)
        # a model of the user's may not use each of its weights for each batch
        is_own = not run.spec.model or own_python(run.spec.model) is not None
        self._parallel = DistributedDataParallel(self._passes, find_unused_parameters=is_own)
        run.team = self
        if (reason := run.why_not_batches_of(run.batch_size)) is not None:
            raise Refused(reason)
        if not self.is_first:
            rng.seed_rank(run.seed, self.part.rank)

    @contextmanager
    def also(self, name: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> Iterator[None]:
        """Let every other rank call the method of that name of its run, beside the block."""
        if self._is_calling or not self.is_first:
            yield
            return
        self.channel.send(Call(name, tuple(arguments), dict(named)))
        self._is_calling = True
        try:
            yield
        finally:
            self._is_calling = False

    def add_gradients(
        self, run: Training, call: Callable[[Any], Tensor], data: Any, target: Tensor
    ) -> tuple[Added, int]:
        """Add the gradients of the mean loss over all ranks; see `Team.add_gradients`."""
        assert self._passes is not None
        assert self._parallel is not None
        own, common = self.part.samples_of(len(run.data.train), run.samples_per_step, run.batch)
        weight = own * self.part.count / common  # the mean over the ranks divides by their count
        parts = list(parts_of(run, data, target))
        self._passes.mean_loss.grad = None
        outputs: list[Tensor] = []
        marks: list[Any] = []
        began = 0.0
        for number, (part, part_target, share) in enumerate(parts, start=1):
            share *= weight
            forward = partial(_forward, run, call, part, part_target, share)
            with nullcontext() if number == len(parts) else self._parallel.no_sync():
                output, propagated, (after_forward, after_loss) = self._parallel(forward, run)
                began = time.perf_counter()
                propagated.backward()
            outputs.append(output.detach())
            marks += [after_forward, after_loss, run.stopwatch.mark()]
        self.numbers.add(time.perf_counter() - began)
        loss = self._passes.mean_loss.grad
        assert loss is not None
        output = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
        return Added(output, loss, tuple(marks)), common

    def whole(self, parts: Sequence[Tensor], total: int) -> list[Tensor]:
        """Return the rows of all ranks, `total` of each, in the order of the samples."""
        return [self._whole(part, total) for part in parts]

    def _whole(self, part: Tensor, total: int) -> Tensor:
        count = self.part.count
        rows = -(-total // count)
        padded = torch.cat((part, part[:1])) if len(part) < rows else part
        gathered = [torch.empty_like(padded) for _ in range(count)]
        distributed.all_gather(gathered, padded.contiguous())
        return torch.stack(gathered, dim=1).flatten(0, 1)[:total]

    def of_first(self, value: Any) -> Any:
        """Return the value that the first rank has."""
        return self.channel.of_first(value)

    def share_buffers(self, run: Training) -> None:
        """Give each rank's model the buffers of the first."""
        for buffer in run.model.buffers():
            distributed.broadcast(buffer, 0)

    def states(self, own: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return the states of the generators of all ranks."""
        return self.channel.of_all(dict(own))


class _Passes(nn.Module):
    """A model's forward passes, and the mean of their losses over all ranks.

    The mean travels with the gradients, as that of one more weight, which stays 0: so it takes no
    message of its own, and a loss that is not finite on one rank is not finite on all.
    """

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        super().__init__()
        self.model = model
        self.mean_loss = nn.Parameter(torch.zeros((), device=device))

    def forward(
        self, forward: Callable[[], tuple[Tensor, Tensor, tuple[Any, Any]]], run: Training
    ) -> tuple[Tensor, Tensor, tuple[Any, Any]]:
        output, loss, marks = forward()
        propagated = loss if run.gradient_scale is None else run.gradient_scale.scaled(loss)
        return output, propagated + self.mean_loss * loss.detach(), marks


def _forward(
    run: Training, call: Callable[[Any], Tensor], data: Any, target: Tensor, share: float
) -> tuple[Tensor, Tensor, tuple[Any, Any]]:
    """Return output and loss, times its share in the mean, and the marks after each of them."""
    mark = run.stopwatch.mark
    output = call(data)
    after_forward = mark()
    loss = run.criterion(output, target)
    return output, loss if share == 1 else loss * share, (after_forward, mark())
