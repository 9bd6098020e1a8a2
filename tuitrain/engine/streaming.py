"""Data read sample by sample, by worker processes if wanted: nothing has to fit in memory.

A batch depends only on (seed, epoch, index): every sample is read, and augmented, with Python's,
numpy's and PyTorch's generators seeded by them, so that random transforms repeat however many
processes read, and a run resumes in the middle of an epoch to the same weights.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, default_collate
from torch.utils.data import Dataset as TorchDataset

from tuitrain.engine.data import Batch, generator_of, shuffled

Augment = Callable[[Any, torch.Generator], Any]
"""Maps an input and a generator of its own to another input of the same shape."""
_PREFETCH = 4
_HOST = torch.device("cpu")


class Readable(Protocol):
    """A map-style dataset: `dataset[index]` is (input, target)."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Streamed:
    """Samples from a dataset, identical for any number of workers."""

    dataset: Readable
    workers: int = 0
    """Processes that read ahead; 0: the trainer itself reads."""
    augment: Augment | None = None
    collate: Callable[[list[Any]], Any] | None = None
    device: torch.device = _HOST
    _loader: list[_Loader] = field(default_factory=list)
    """The one whose workers live, if any."""

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample; empty if it is no tensor."""
        with _seeded("look"):
            found = self.dataset[0][0]
        return tuple(found.shape) if isinstance(found, Tensor | np.ndarray) else ()

    def to(self, device: torch.device) -> Streamed:
        """Return the samples for use on that device; each batch is moved there."""
        return Streamed(self.dataset, self.workers, self.augment, self.collate, device)

    def epoch(self, size: int, *, seed: int, number: int, skip: int = 0) -> Iterator[Batch]:
        """Yield an epoch's batches after the first `skip`, shuffled by seed and number."""
        order = shuffled(len(self), seed=seed, epoch=number).tolist()
        return self._read(order[skip * size :], size, f"{seed} {number}")

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield (inputs, targets) of at most `size` samples, in order, the same each time."""
        return self._read(list(range(len(self))), size, "validation")

    def close(self) -> None:
        """End the workers; the next epoch starts others."""
        while self._loader:
            self._loader.pop().close()

    def _read(self, order: list[int], size: int, key: str) -> Iterator[Batch]:
        """Yield the batches; a caller that stops in between leaves no worker behind."""
        if not self._loader:
            self._loader.append(_Loader(self))
        loader, is_whole = self._loader[0], False
        try:
            for inputs, targets in loader.read(order, size, key):
                yield moved(inputs, self.device), moved(targets, self.device)
            is_whole = True
        finally:
            if not is_whole:
                self.close()


class _Loader:
    """A DataLoader whose workers live from one epoch to the next."""

    def __init__(self, source: Streamed) -> None:
        self._batches = _Batches()
        self._loader = DataLoader(
            _Keyed(source.dataset, source.augment),
            batch_sampler=self._batches,
            num_workers=source.workers,
            collate_fn=source.collate or default_collate,
            generator=generator_of("workers"),
            pin_memory=source.device.type == "cuda",
            persistent_workers=source.workers > 0,
            prefetch_factor=_PREFETCH if source.workers else None,
        )

    def read(self, order: list[int], size: int, key: str) -> Iterator[Any]:
        self._batches.order, self._batches.size, self._batches.key = order, size, key
        return iter(self._loader)

    def close(self) -> None:
        """End the workers, those in the middle of a batch too."""
        workers = getattr(self._loader, "_iterator", None)
        if workers is not None and hasattr(workers, "_shutdown_workers"):
            workers._shutdown_workers()
        self._loader._iterator = None


@dataclass(frozen=True, slots=True)
class _Keyed(TorchDataset[Any]):
    dataset: Readable
    augment: Augment | None

    def __getitem__(self, place: tuple[str, int]) -> Any:
        key, index = place
        with _seeded(f"sample {key} {index}"):
            sample = self.dataset[index]
            if self.augment is None or key == "validation":
                return sample
            generator = generator_of(f"augment {key} {index}")
            return self.augment(sample[0], generator), *sample[1:]


class _Batches:
    """The batches of an epoch, each a list of (key of the epoch, index)."""

    def __init__(self) -> None:
        self.order: list[int] = []
        self.size, self.key = 1, ""

    def __len__(self) -> int:
        return -(-len(self.order) // self.size)

    def __iter__(self) -> Iterator[list[tuple[str, int]]]:
        for start in range(0, len(self.order), self.size):
            yield [(self.key, index) for index in self.order[start : start + self.size]]


@contextmanager
def _seeded(key: str) -> Iterator[None]:
    """Seed Python's, numpy's and PyTorch's generators by the key; put them back afterwards."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    number = generator_of(key).initial_seed()
    random.seed(number)
    np.random.seed(number % (1 << 32))
    torch.default_generator.manual_seed(number)  # torch.manual_seed would seed accelerators, too
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def moved(value: Any, device: torch.device) -> Any:
    """Return a tensor, or a structure of tensors, on the device."""
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, Mapping):
        return {key: moved(part, device) for key, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(moved(part, device) for part in value))
    if isinstance(value, list | tuple):
        return type(value)(moved(part, device) for part in value)
    return value
