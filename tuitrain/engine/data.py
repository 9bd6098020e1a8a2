"""Data as whole tensors on the device, batched by index: no Python call per sample."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from tuitrain.core.catalog import Kind

Batch = tuple[Tensor, Tensor]
"""Inputs (n, ...) and targets (n,), on the device."""


class Source(Protocol):
    """Where training samples come from. Any position of any epoch can be found again."""

    def __len__(self) -> int: ...

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""

    def to(self, device: torch.device) -> Source:
        """Return the samples for a training on that device."""

    def epoch(self, size: int, *, seed: int, number: int, skip: int = 0) -> Iterator[Batch]:
        """Yield an epoch's batches, shuffled by seed and number, the first `skip` left out."""


@dataclass(frozen=True, slots=True)
class Samples:
    """`inputs` (N, ...) float and `targets` (N,), row by row."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.inputs.shape[1:])

    def to(self, device: torch.device) -> Samples:
        """Return the samples on that device."""
        return Samples(self.inputs.to(device), self.targets.to(device))

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield (inputs, targets) of at most `size` samples, as they lie."""
        for start in range(0, len(self), size):
            yield self.inputs[start : start + size], self.targets[start : start + size]

    def epoch(self, size: int, *, seed: int, number: int, skip: int = 0) -> Iterator[Batch]:
        """Yield an epoch's batches, shuffled by seed and number, the first `skip` left out.

        Batches are where the samples are, so nothing has to be moved to the device any more.
        """
        order = shuffled(len(self), seed=seed, epoch=number).to(self.targets.device)
        for start in range(skip * size, len(self), size):
            index = order[start : start + size]
            yield self.inputs.index_select(0, index), self.targets.index_select(0, index)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A task's data, split for good: the split does not depend on a run's seed."""

    kind: Kind
    train: Source
    val: Samples
    outputs: int
    """What a model must return per sample: classes, or 1."""
    unit: float = 1.0
    """Of a regression: how much of the targets' own unit one of the standardised targets is."""
    classes: tuple[str, ...] = ()
    """Their names, in the order of their indices."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.train.input_shape

    def to(self, device: torch.device) -> Dataset:
        """Return the data on that device."""
        return replace(self, train=self.train.to(device), val=self.val.to(device))


def shuffled(count: int, *, seed: int, epoch: int) -> Tensor:
    """Return the order in which an epoch (from 0) takes its samples: indices (count,), int64.

    A function of seed and epoch alone, so that any position of a run can be found again.
    """
    return torch.randperm(count, generator=generator_of(f"shuffle {seed} {epoch}"))


def generator_of(key: str) -> torch.Generator:
    """Return a generator of random numbers that the key alone decides."""
    digest = hashlib.sha256(key.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
