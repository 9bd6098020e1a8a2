"""Data as whole tensors on the device, batched by index: no Python call per sample."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tuitrain.core.catalog import Kind


@dataclass(frozen=True, slots=True)
class Samples:
    """`inputs` (N, ...) float and `targets` (N,), row by row."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def to(self, device: torch.device) -> Samples:
        """Return the samples on that device."""
        return Samples(self.inputs.to(device), self.targets.to(device))

    def batches(
        self, size: int, order: Tensor | None = None, skip: int = 0
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (inputs, targets) of at most `size` samples, the first `skip` batches left out.

        Batches are where the samples are, so nothing has to be moved to the device any more.
        `order` holds the indices of the samples, on their device; without it, as they lie.
        """
        for start in range(skip * size, len(self), size):
            if order is None:
                yield self.inputs[start : start + size], self.targets[start : start + size]
            else:
                index = order[start : start + size]
                yield self.inputs.index_select(0, index), self.targets.index_select(0, index)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A task's data, split for good: the split does not depend on a run's seed."""

    kind: Kind
    train: Samples
    val: Samples
    outputs: int
    """What a model must return per sample: classes, or 1."""
    unit: float = 1.0
    """Of a regression: how much of the targets' own unit one of the standardised targets is."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.train.inputs.shape[1:])

    def to(self, device: torch.device) -> Dataset:
        """Return the data on that device."""
        return replace(self, train=self.train.to(device), val=self.val.to(device))


def shuffled(count: int, *, seed: int, epoch: int) -> Tensor:
    """Return the order in which an epoch (from 0) takes its samples: indices (count,), int64.

    A function of seed and epoch alone, so that any position of a run can be found again.
    """
    digest = hashlib.sha256(f"shuffle {seed} {epoch}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
    return torch.randperm(count, generator=generator)
