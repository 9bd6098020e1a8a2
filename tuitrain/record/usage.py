"""CPU and memory used by the trainer's own process, and what its GPU does."""

from __future__ import annotations

import os
from collections.abc import Mapping

import psutil

from tuitrain.core.series import TRAINER_CPU, TRAINER_MEMORY, Series
from tuitrain.engine.gpus import Meter, meter

_MB = 1_000_000


class Usage:
    """Reads CPU and memory usage; CPU usage is an average since the last call."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._process.cpu_percent()  # the first value is meaningless
        self._meters: dict[str, Meter | None] = {}

    def read(self, device: str = "cpu") -> Mapping[Series, float]:
        """Return CPU (percent) and memory (MB), without child processes such as data loaders.

        For a `device` such as cuda:0, what NVML reports of that GPU follows.
        """
        with self._process.oneshot():
            own = {
                TRAINER_CPU: self._process.cpu_percent(),
                TRAINER_MEMORY: self._process.memory_info().rss / _MB,
            }
        if device not in self._meters:
            self._meters[device] = _meter_of(device)
        gpu = self._meters[device]
        return own if gpu is None else {**own, **gpu.read()}


def _meter_of(device: str) -> Meter | None:
    kind, _, number = device.partition(":")
    if kind != "cuda":
        return None
    import pynvml  # loads nothing of NVIDIA's before it is asked

    visible, order = map(os.environ.get, ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"))
    return meter(pynvml, int(number or 0), visible, order)
