"""Seed, save and restore all random number generators that a step may use."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tuitrain.engine.data import generator_of


def seed(number: int) -> None:
    """Seed all generators with `number`."""
    random.seed(number)
    np.random.seed(number % (1 << 32))
    torch.manual_seed(number)


def seed_rank(number: int, rank: int, step: int = 0) -> None:
    """Seed all generators of one of several ranks; of the first, with `number` itself."""
    seed(generator_of(f"rank {number} {rank} {step}").initial_seed() if rank else number)


def state(device: torch.device) -> dict[str, Any]:
    """Return the generators' states as tensors and tuples, which `weights_only` can load."""
    name, keys, *rest = np.random.get_state()
    version, numbers, gauss = random.getstate()
    return {
        # a tuple of 625 numbers would take most of the time to load a small checkpoint
        "python": (version, torch.from_numpy(np.array(numbers, np.int64)), gauss),
        "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "mps": torch.mps.get_rng_state() if device.type == "mps" else None,
    }


def restore(state: Mapping[str, Any], device: torch.device) -> None:
    """Restore the generators; one of a device that `state` does not have stays as it is.

    Older checkpoints have a tuple of numbers for Python's generator.
    """
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(torch.as_tensor(numbers).tolist()), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["cpu"].cpu())
    if device.type == "cuda" and (own := cuda_state(state["cuda"], device.index)) is not None:
        torch.cuda.set_rng_state(own.cpu(), device)
    if device.type == "mps" and state["mps"] is not None:
        torch.mps.set_rng_state(state["mps"].cpu())


@contextmanager
def preserved(device: torch.device) -> Iterator[None]:
    """Restore all generators after the body, whatever it draws."""
    before = state(device)
    try:
        yield
    finally:
        restore(before, device)


def cuda_state(saved: Tensor | Sequence[Tensor] | None, index: int) -> Tensor | None:
    """Return the saved state for the device `index`; None if none was saved.

    Older checkpoints have a list of the states of all devices: the one at `index`, or else the
    first, is returned.
    """
    if saved is None or isinstance(saved, Tensor):
        return saved
    return saved[index] if index < len(saved) else next(iter(saved), None)
