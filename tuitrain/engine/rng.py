"""The states of all random number generators that a step may draw from."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


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
        "cuda": torch.cuda.get_rng_state_all() if device.type == "cuda" else [],
        "mps": torch.mps.get_rng_state() if device.type == "mps" else None,
    }


def restore(state: Mapping[str, Any], device: torch.device) -> None:
    """Let all generators go on from `state`."""
    random.setstate(state["python"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["cpu"].cpu())
    if device.type == "cuda":
        torch.cuda.set_rng_state_all([each.cpu() for each in state["cuda"]])
    if device.type == "mps":
        torch.mps.set_rng_state(state["mps"].cpu())
