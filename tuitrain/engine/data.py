"""Data as whole tensors, on the device if it has room, batched by index: no call per sample."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from tuitrain.catalog import Task
from tuitrain.engine.device import has_room, on_device

Batch = tuple[Any, Tensor]
"""Inputs (n, ...), or a structure of them, and targets (n, ...), on the device."""
Parts = tuple[Tensor, Tensor, Tensor, Tensor]
"""Training inputs (N, ...) float32 and targets (N,), then those for validation, as a task's
function returns them. Targets are class indices int64, 0 or 1 float32, or numbers in their unit."""


Order = TypeVar("Order", Tensor, list[int])
_ENOUGH = 2
"""Samples that any layer can train on, also one that normalises by batch."""


@dataclass(frozen=True, slots=True)
class Part:
    """The samples of one of several ranks, which train a run together."""

    rank: int = 0
    count: int = 1
    """The number of ranks."""

    def of(self, order: Order, size: int) -> Order:
        """Return this rank's part of an order of samples (N,), every `count`-th of them.

        Its batches of `size` are then parts of common batches of `size * count`. Where the last
        common batch has no sample for this rank, it gets the first ones again, which
        `samples_of` does not count: so each rank has the same number of batches.
        """
        own: Order = order[self.rank :: self.count]
        before_last = (-(-len(order) // (size * self.count)) - 1) * size
        if len(own) > before_last:
            return own
        again: Order = order[: min(size, _ENOUGH)]
        return torch.cat((own, again)) if isinstance(own, Tensor) else own + again

    def samples_of(self, total: int, size: int, number: int) -> tuple[int, int]:
        """Return how many samples this rank has of a common batch, and how many all have of it.

        `total` samples are in an epoch, at most `size` of a batch are this rank's, and `number` is
        that of the batch, from 0.
        """
        first = number * size * self.count
        common = min(total - first, size * self.count)
        return len(range(self.rank, common, self.count)), common

    def most_of(self, total: int, size: int, number: int) -> int:
        """Return the most samples that any rank trains on of a common batch; see `samples_of`."""
        _, common = self.samples_of(total, size, number)
        again = min(size, _ENOUGH, total) if common < self.count else 0
        return max(-(-common // self.count), again)

    def lacks_batch(self, total: int, size: int) -> bool:
        """Return whether others have one more batch of `size`, of `total` samples in order."""
        most, own = -(-total // self.count), len(range(self.rank, total, self.count))
        return -(-own // size) < -(-most // size)


WHOLE = Part()


class Source(Protocol):
    """A source of samples that can restart at any position of any epoch."""

    def __len__(self) -> int: ...

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""

    def to(self, device: torch.device) -> Source:
        """Return the samples for use on that device."""

    def epoch(
        self, size: int, *, seed: int, number: int, skip: int = 0, part: Part = WHOLE
    ) -> Iterator[Batch]:
        """Yield an epoch's batches after the first `skip`, shuffled by seed and number."""

    def batches(self, size: int, part: Part = WHOLE) -> Iterator[Batch]:
        """Yield (inputs, targets) of at most `size` samples, in order."""


@dataclass(frozen=True, slots=True)
class Samples:
    """`inputs` (N, ...) float and `targets` (N,), row by row."""

    inputs: Tensor
    targets: Tensor
    copied_to: torch.device | None = None
    """The device that each batch is copied to, since it has no room for all of them."""

    def __len__(self) -> int:
        return self.targets.shape[0]  # len() of a tensor takes ten times as long

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.inputs.shape[1:])

    def to(self, device: torch.device) -> Samples:
        """Return the samples on that device; in the host's memory, if it has no room for them."""
        size = self.inputs.nbytes + self.targets.nbytes
        if self.targets.device != device and not has_room(device, size):
            return replace(self, copied_to=device)
        return Samples(self.inputs.to(device), self.targets.to(device))

    def batches(self, size: int, part: Part = WHOLE) -> Iterator[Batch]:
        """Yield (inputs, targets) of at most `size` samples, in order."""
        own = slice(part.rank, None, part.count)
        inputs, targets = self.inputs[own], self.targets[own]
        for start in range(0, len(targets), size):
            batch = inputs[start : start + size], targets[start : start + size]
            yield batch if self.copied_to is None else self._copied(*batch)

    def epoch(
        self, size: int, *, seed: int, number: int, skip: int = 0, part: Part = WHOLE
    ) -> Iterator[Batch]:
        """Yield an epoch's batches after the first `skip`, shuffled by seed and number.

        Samples that are on the device already are not moved.
        """
        order = part.of(shuffled(len(self), seed=seed, epoch=number), size)
        order = order.to(self.targets.device)
        for start in range(skip * size, len(order), size):
            index = order[start : start + size]
            batch = self.inputs.index_select(0, index), self.targets.index_select(0, index)
            yield batch if self.copied_to is None else self._copied(*batch)

    def _copied(self, inputs: Tensor, targets: Tensor) -> Batch:
        assert self.copied_to is not None
        return on_device(inputs, self.copied_to), on_device(targets, self.copied_to)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A task's data in a fixed split, which does not depend on a run's seed."""

    kind: str | None
    train: Source
    val: Source
    outputs: int
    """The outputs of a model per sample: classes, or 1; 0 if unknown."""
    unit: float = 1.0
    """The standard deviation of a regression's targets, in their own unit."""
    classes: tuple[str, ...] = ()
    """Class names, by class index."""
    offset: float = 0.0
    """The mean of a regression's targets, in their own unit; 0 where they are not standardised."""
    unit_name: str = ""
    """The name of that unit; empty if it is unknown."""

    @classmethod
    def of(cls, task: Task, parts: Parts) -> Dataset:
        """Return a task's data from its function's result; regression targets are standardised."""
        train_inputs, train_targets, val_inputs, val_targets = parts
        unit, offset = 1.0, 0.0
        if task.kind == "regression":
            offset = float(train_targets.numpy().mean())
            train_targets, val_targets, unit = standardised(train_targets, val_targets)
        train, val = Samples(train_inputs, train_targets), Samples(val_inputs, val_targets)
        return cls(task.kind, train, val, task.outputs, unit, task.classes, offset)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.train.input_shape

    @property
    def class_count(self) -> int:
        """The number of exclusive classes; 0 for other problems."""
        return {"multiclass": self.outputs, "binary": 2}.get(self.kind or "", 0)

    @property
    def is_standardised(self) -> bool:
        """Whether the targets of a regression are in deviations from their mean."""
        return (self.unit, self.offset) != (1.0, 0.0)

    @property
    def why_copied(self) -> str:
        """Why each batch is copied to the device; empty if the samples are there, or streamed."""
        samples = getattr(self.train, "pixels", self.train)
        place = samples.copied_to if isinstance(samples, Samples) else None
        return f"{place} has no room for the data: each batch is copied to it" if place else ""

    def to(self, device: torch.device) -> Dataset:
        """Return the data for use on that device."""
        return replace(self, train=self.train.to(device), val=self.val.to(device))


def standardised(train: Tensor, val: Tensor) -> tuple[Tensor, Tensor, float]:
    """Return both parts scaled to the training part's mean 0 and deviation 1, and its deviation."""
    mean, deviation = train.numpy().mean(), train.numpy().std()
    normal = [((part - mean) / deviation).float() for part in (train, val)]
    return normal[0], normal[1], float(deviation)


def shuffled(count: int, *, seed: int, epoch: int) -> Tensor:
    """Return the order of samples (count,) int64; it depends only on seed and epoch (from 0)."""
    return torch.randperm(count, generator=generator_of(f"shuffle {seed} {epoch}"))


def generator_of(key: str) -> torch.Generator:
    """Return a random number generator seeded by the key alone."""
    digest = hashlib.sha256(key.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
