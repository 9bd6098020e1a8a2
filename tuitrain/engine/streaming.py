"""Data read sample by sample by worker processes, for data sets too large for whole tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from tuitrain.engine.data import Batch, generator_of, shuffled

Augment = Callable[[Tensor, torch.Generator], Tensor]
"""Maps a sample and its own generator to another sample of the same shape."""


class Readable(Protocol):
    """A map-style dataset: `dataset[index]` is (input, target) as tensors."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[Tensor, Tensor]: ...


_HOST = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Streamed:
    """Training samples from a dataset, identical for any number of workers.

    An augmentation depends only on (seed, epoch, index), and the loader draws from no generator
    of the training, so a run can be resumed in the middle of an epoch.
    """

    dataset: Readable
    workers: int = 0
    """Processes that read ahead; 0: the trainer itself reads."""
    augment: Augment | None = None
    device: torch.device = _HOST

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.dataset[0][0].shape)

    def to(self, device: torch.device) -> Streamed:
        """Return the samples for training on that device; each batch is moved there."""
        return replace(self, device=device)

    def epoch(self, size: int, *, seed: int, number: int, skip: int = 0) -> Iterator[Batch]:
        """Yield an epoch's batches after the first `skip`, shuffled by seed and number."""
        order = shuffled(len(self), seed=seed, epoch=number).tolist()
        loader = DataLoader(
            _Keyed(self.dataset, self.augment, f"augment {seed} {number}"),
            batch_sampler=_Batches(order, size, skip),
            num_workers=self.workers,
            generator=generator_of(f"workers {seed} {number}"),
            pin_memory=self.device.type == "cuda",
        )
        for inputs, targets in loader:
            yield (
                inputs.to(self.device, non_blocking=True),
                targets.to(self.device, non_blocking=True),
            )


@dataclass(frozen=True, slots=True)
class _Keyed(TorchDataset[tuple[Tensor, Tensor]]):
    dataset: Readable
    augment: Augment | None
    key: str

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        sample, target = self.dataset[index]
        if self.augment is not None:
            sample = self.augment(sample, generator_of(f"{self.key} {index}"))
        return sample, target


@dataclass(frozen=True, slots=True)
class _Batches:
    order: list[int]
    size: int
    skip: int

    def __len__(self) -> int:
        return len(range(self.skip * self.size, len(self.order), self.size))

    def __iter__(self) -> Iterator[list[int]]:
        for start in range(self.skip * self.size, len(self.order), self.size):
            yield self.order[start : start + self.size]
