"""The ranks of a run: how each trains its part of every batch, and what they tell one another."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, distributed, nn

from tuitrain.core.errors import Refused
from tuitrain.engine.data import Part
from tuitrain.engine.ranks.group import device_of
from tuitrain.engine.ranks.messages import Call, Channel
from tuitrain.engine.ranks.numbers import Numbers
from tuitrain.engine.ranks.shared import share
from tuitrain.engine.ranks.strategy import Strategy
from tuitrain.engine.state import rng
from tuitrain.engine.steering import Steering
from tuitrain.engine.step import Added, parts_of
from tuitrain.engine.training import Training


class Ranks:
    """This process's place among the ranks, whose process group is there already."""

    def __init__(self) -> None:
        self.part = Part(distributed.get_rank(), distributed.get_world_size())
        self.channel = Channel()
        self.passes = 0
        self._is_calling = False
        self.numbers = Numbers(torch.device("cpu"))
        self._strategy: Strategy | None = None

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
                f"{self.part.count} ranks need a validation sample each: {samples:,} here"
            )
        run.team, run.part, self.numbers = self, self.part, Numbers(run.device)
        self._strategy = _strategy(run)
        if not self.is_first:
            rng.seed_rank(run.seed, self.part.rank)

    @contextmanager
    def also(self, name: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> Iterator[None]:
        """Let every other rank call the method of that name of its run, beside the block."""
        if self._is_calling or not self.is_first:
            yield
            return
        to_send = self._strategy.to_send if self._strategy else lambda argument: argument
        self.channel.send(Call(name, tuple(map(to_send, arguments)), dict(named)))
        self._is_calling = True
        try:
            yield
        finally:
            self._is_calling = False

    def add_gradients(
        self, run: Training, call: Callable[[Any], Tensor], data: Any, target: Tensor
    ) -> tuple[Added, int]:
        """Add the gradients of the mean loss over all ranks; see `Team.add_gradients`."""
        assert self._strategy is not None
        place = len(run.data.train), run.samples_per_step, run.batch
        own, common = self.part.samples_of(*place)
        weight = own * self.part.count / common  # the mean over the ranks divides by their count
        is_one = target.shape[0] <= run.batch_size  # as mostly: it needs no slices
        parts = [(data, target, 1.0)] if is_one else list(parts_of(run, data, target))
        count = len(parts)
        self.passes = -(-self.part.most_of(*place) // run.batch_size)
        if self.passes > count:
            parts.append((*parts[-1][:2], 0.0))  # another rank has one more, and waits for all
        outputs: list[Tensor] = []
        marks: list[Any] = []
        began = 0.0
        if kept := _kept_by(run.criterion):
            share(kept)  # as those of the model are
        for number, (part, goal, part_share) in enumerate(parts, start=1):
            forward = partial(_forward, run, call, part, goal, part_share * weight)
            with self._strategy.passing(is_last=number == self.passes):
                output, propagated, (after_forward, after_loss) = self._strategy.forward(
                    run, forward
                )
                began = time.perf_counter()
                propagated.backward()  # type: ignore[no-untyped-call]  # torch's has no types
            outputs.append(output.detach())
            marks += [after_forward, after_loss, run.stopwatch.mark()]
        self.numbers.add(time.perf_counter() - began)
        loss = self._strategy.mean_loss(run)
        output = outputs[0] if count == 1 else torch.cat(outputs[:count])
        return Added(output, loss, tuple(marks)), common

    def gathered(self, parts: Sequence[Tensor], total: int) -> list[Tensor]:
        """Return the rows of all ranks, `total` of each, in the order of the samples."""
        return [self._gathered(part, total) for part in parts]

    def _gathered(self, part: Tensor, total: int) -> Tensor:
        count = self.part.count
        rows = -(-total // count)
        padded = torch.cat((part, part[:1])) if len(part) < rows else part
        gathered = [torch.empty_like(padded) for _ in range(count)]
        distributed.all_gather(gathered, padded.contiguous())
        return torch.stack(gathered, dim=1).flatten(0, 1)[:total]

    def of_first(self, value: Any) -> Any:
        """Return the value that the first rank has."""
        return self.channel.of_first(value)

    def numbers_of_first(self, numbers: Sequence[float]) -> list[float]:
        """Return the numbers that the first rank has, as many on each."""
        return self.channel.numbers_of_first(numbers)

    def share_buffers(self, run: Training) -> None:
        """Give each rank's model the buffers of the first."""
        share(run.model.buffers())

    def told(self) -> list[Any]:
        """Return what all ranks measured of themselves, on the first one."""
        own = json.dumps(self.numbers.taken())  # torch.save takes ten times as long
        return [json.loads(text) for text in self.channel.texts_to_first(own)]

    def states(self, own: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return the states of the generators of all ranks, on the first one."""
        return self.channel.to_first(dict(own))


def _kept_by(loss: object) -> list[Tensor]:
    """Return what a loss of the user's own keeps from batch to batch, in its buffers."""
    is_own = not type(loss).__module__.startswith(("torch.", "tuitrain."))
    return list(loss.buffers()) if isinstance(loss, nn.Module) and is_own else []


def _strategy(run: Training) -> Strategy:
    """Let the ranks share the weights of a run as its spec says."""
    if run.spec.strategy == "ddp":
        from tuitrain.engine.ranks.replicated import Replicated

        return Replicated(run)
    from tuitrain.engine.ranks.sharded import Sharded

    return Sharded(run)


def _forward(
    run: Training, call: Callable[[Any], Tensor], data: Any, target: Tensor, share: float
) -> tuple[Tensor, Tensor, tuple[Any, Any]]:
    """Return output and loss, times its share in the mean, and the marks after each of them."""
    mark = run.stopwatch.mark
    output = call(data)
    after_forward = mark()
    loss = run.criterion(output, target)
    return output, loss if share == 1 else loss * share, (after_forward, mark())
