"""Data read sample by sample, by worker processes if wanted: nothing has to fit in memory.

A batch depends only on (seed, epoch, index): every sample is read, and augmented, with Python's,
numpy's and PyTorch's generators seeded by them, so that random transforms repeat however many
processes read, and a run resumes in the middle of an epoch to the same weights.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import wait
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, default_collate
from torch.utils.data import Dataset as TorchDataset

from tuitrain.core.errors import WrongUse
from tuitrain.engine.data import WHOLE, Batch, Part, generator_of, shuffled
from tuitrain.engine.device import on_device
from tuitrain.engine.user_errors import UserCodeFailed, user_code_message

Augment = Callable[[Any, torch.Generator], Any]
"""Maps an input and a generator of its own to another input of the same shape."""
_ENDS_WITHIN_S = 2.0
"""A process that was killed has lost its connections a moment before it has ended."""
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
    classes: int | None = None
    """Where targets are indices of classes, how many of these there are."""
    _loader: list[_Loader] = field(default_factory=list)
    """The one whose workers live, if any."""

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample; empty if it is no tensor. WrongUse if it cannot be read."""
        try:
            with _generators_kept():
                _seed("look")
                sample = self.dataset[0]
        except Exception as error:
            raise WrongUse(f"sample 0: {user_code_message(error)}") from error
        if self.collate is None and not _is_pair(sample):
            _pair(sample)
        data = sample[0] if isinstance(sample, list | tuple) and sample else None
        return tuple(data.shape) if isinstance(data, Tensor | np.ndarray) else ()

    def to(self, device: torch.device) -> Streamed:
        """Return the samples for use on that device; each batch is moved there."""
        return replace(self, device=device, _loader=[])

    def epoch(
        self, size: int, *, seed: int, number: int, skip: int = 0, part: Part = WHOLE
    ) -> Iterator[Batch]:
        """Yield an epoch's batches after the first `skip`, shuffled by seed and number."""
        order = part.of(shuffled(len(self), seed=seed, epoch=number).tolist(), size)
        return self._read(order[skip * size :], size, f"{seed} {number}")

    def batches(self, size: int, part: Part = WHOLE) -> Iterator[Batch]:
        """Yield (inputs, targets) of at most `size` samples, in order, the same each time."""
        return self._read(list(range(len(self)))[part.rank :: part.count], size, "validation")

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
            for batch in loader.read(order, size, key):
                if isinstance(batch, _Failure):
                    raise UserCodeFailed(batch.sentence)
                inputs, targets = _pair(batch)
                self._check(targets)
                yield moved(inputs, self.device), moved(targets, self.device)
            is_whole = True
        finally:
            if not is_whole:
                self.close()

    def _check(self, targets: Tensor) -> None:
        """Raise WrongUse for a class that there is not: an accelerator would be lost by it."""
        if self.classes is None or targets.dtype != torch.int64 or not len(targets):
            return
        if why := why_no_indices(targets, self.classes):
            raise WrongUse(why)


class _Loader:
    """A DataLoader whose workers live from one epoch to the next."""

    def __init__(self, source: Streamed) -> None:
        self._batches = _Batches()
        self._loader = DataLoader(
            _Keyed(source.dataset, source.augment),
            batch_sampler=self._batches,
            num_workers=source.workers,
            collate_fn=_Collate(source.collate or default_collate),
            generator=generator_of("workers"),
            pin_memory=source.device.type == "cuda",
            persistent_workers=source.workers > 0,
            prefetch_factor=_PREFETCH if source.workers else None,
            # a process that is not forked could not import the user's file
            multiprocessing_context="fork" if source.workers else None,
        )

    def read(self, order: list[int], size: int, key: str) -> Iterator[Any]:
        """Yield the batches; RuntimeError that names a worker that ended."""
        self._batches.order, self._batches.size, self._batches.key = order, size, key
        try:
            yield from self._loader
        except (OSError, EOFError) as error:  # a batch on its way from a worker that is gone
            workers = getattr(getattr(self._loader, "_iterator", None), "_workers", [])
            wait([worker.sentinel for worker in workers], _ENDS_WITHIN_S)  # it may still be ending
            gone = [str(worker.pid) for worker in workers if not worker.is_alive()]
            if not gone:
                raise
            raise RuntimeError(f"a process that reads samples (pid {gone[0]}) ended") from error

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

    def __getitems__(self, places: list[tuple[str, int]]) -> list[Any]:
        """Return the samples of a batch; `DataLoader` calls this instead of `__getitem__`."""
        with _generators_kept():
            return [self._read(*place) for place in places]

    def _read(self, key: str, index: int) -> Any:
        try:
            return self._sample(key, index)
        except Exception as error:  # noqa: BLE001 - the trainer's process reports it
            return _Failure(f"sample {index}: {user_code_message(error, self.augment)}")

    def _sample(self, key: str, index: int) -> Any:
        _seed(f"sample {key} {index}")
        sample = self.dataset[index]
        if self.augment is None or key == "validation":
            return sample
        generator = generator_of(f"augment {key} {index}")
        return self.augment(sample[0], generator), *sample[1:]


class _Failure(NamedTuple):
    """An error in place of a sample or a batch: a process that reads cannot raise one as it is."""

    sentence: str


@dataclass(frozen=True, slots=True)
class _Collate:
    """Makes a batch of samples, or returns why there is none."""

    collate: Callable[[list[Any]], Any]

    def __call__(self, samples: list[Any]) -> Any:
        failure = next((sample for sample in samples if isinstance(sample, _Failure)), None)
        if failure is not None:
            return failure
        try:
            return self.collate(samples)
        except Exception as error:  # noqa: BLE001 - the trainer's process reports it
            return _Failure(f"the samples make no batch: {user_code_message(error, self.collate)}")


def why_no_indices(targets: Tensor, classes: int) -> str | None:
    """Return why targets are no indices of so many classes; None if they are."""
    low, high = int(targets.min()), int(targets.max())
    if low >= 0 and high < classes:
        return None
    wrong = high if high >= classes else low
    return f"there is a target {wrong}, and {classes} classes have the indices 0 to {classes - 1}"


def _pair(batch: Any) -> tuple[Any, Tensor]:
    """Return inputs and targets; WrongUse for a batch that is not these two."""
    if not _is_pair(batch):
        found = f"{len(batch)} parts" if isinstance(batch, list | tuple) else type(batch).__name__
        raise WrongUse(
            f"a sample is a pair (input, target), and these are {found}: put several inputs into "
            "one dict or tuple"
        )
    if not isinstance(batch[1], Tensor) or not batch[1].dim():
        raise WrongUse(
            f"the targets of a batch are {type(batch[1]).__name__}, and must be one tensor with a "
            "row for each sample"
        )
    return batch[0], batch[1]


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2


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


def _seed(key: str) -> None:
    """Seed Python's, numpy's and PyTorch's generators by the key."""
    number = generator_of(key).initial_seed()
    random.seed(number)
    np.random.seed(number % (1 << 32))
    torch.default_generator.manual_seed(number)  # torch.manual_seed would seed accelerators, too


@contextmanager
def _generators_kept() -> Iterator[None]:
    """Put Python's, numpy's and PyTorch's generators back afterwards: they are the training's."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def moved(value: Any, device: torch.device) -> Any:
    """Return a tensor, or a structure of tensors, on the device."""
    if isinstance(value, Tensor):
        return on_device(value, device)
    if isinstance(value, Mapping):
        return {key: moved(part, device) for key, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(moved(part, device) for part in value))
    if isinstance(value, list | tuple):
        return type(value)(moved(part, device) for part in value)
    return value
