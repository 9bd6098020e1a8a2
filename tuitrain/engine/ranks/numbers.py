"""What a rank measures of itself, to be shown beside the others."""

from __future__ import annotations

import math
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import psutil
import torch

_MB = 1_000_000


class Numbers:
    """The time of this rank's batches since it was last asked for."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._host = socket.gethostname()
        self._process = psutil.Process()
        self._batches = 0
        self._backward_s = 0.0

    def add(self, backward_s: float) -> None:
        """Count a batch; its backward pass ends when those of all ranks have."""
        self._batches += 1
        self._backward_s += backward_s

    def taken(self) -> dict[str, Any]:
        """Return the numbers, and begin anew."""
        batches, self._batches = self._batches, 0
        backward_s, self._backward_s = self._backward_s, 0.0
        return {
            "host": self._host,
            "device": str(self._device),
            "backward_s": backward_s / batches if batches else 0.0,
            "memory_mb": self._memory_mb(),
        }

    def _memory_mb(self) -> float:
        if self._device.type == "cuda":
            return torch.cuda.memory_allocated(self._device) / _MB
        return self._process.memory_info().rss / _MB


def body_of(ranks: Sequence[Mapping[str, Any]], batch_s: float, every: int) -> dict[str, Any]:
    """Return the detail `core.detail.Ranks` from the numbers of all ranks.

    The rank whose backward pass takes the least time came last to the reduction, and the others
    waited for it as much longer as theirs took.
    """
    least = min(rank["backward_s"] for rank in ranks)
    return {
        "ranks": [
            {
                "host": rank["host"], "device": rank["device"], "batch_ms": batch_s * 1000,
                "waited": _share(rank["backward_s"] - least, batch_s, rank["device"]),
                "memory_mb": rank["memory_mb"],
            }
            for rank in ranks
        ],
        "every": every,
    }  # fmt: skip


def _share(waited_s: float, batch_s: float, device: str) -> float:
    return waited_s / batch_s if batch_s > 0 and device == "cpu" else math.nan
