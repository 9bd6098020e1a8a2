"""The states of all random number generators that a step may draw from."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def seed(number: int) -> None:
    """Let all generators begin from `number`."""
    random.seed(number)
    np.random.seed(number % (1 << 32))
    torch.manual_seed(number)


def state(device: torch.device) -> dict[str, Any]:
    """Return the generators' states in tensors and plain tuples, as `weights_only` loading asks."""
    name, keys, *rest = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "mps": torch.mps.get_rng_state() if device.type == "mps" else None,
    }


def restore(state: Mapping[str, Any], device: torch.device) -> None:
    """Let all generators go on from `state`; one of a device it says nothing of stays as it is."""
    random.setstate(state["python"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["cpu"].cpu())
    if device.type == "cuda" and (own := cuda_state(state["cuda"], device.index)) is not None:
        torch.cuda.set_rng_state(own.cpu(), device)
    if device.type == "mps" and state["mps"] is not None:
        torch.mps.set_rng_state(state["mps"].cpu())


def cuda_state(saved: Tensor | Sequence[Tensor] | None, index: int) -> Tensor | None:
    """Return the state of one device; None where none was saved.

    Checkpoints used to hold a list of those of all devices that there were, maybe more than here.
    """
    if saved is None or isinstance(saved, Tensor):
        return saved
    return saved[index] if index < len(saved) else next(iter(saved), None)
