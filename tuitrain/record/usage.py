"""CPU and memory used by the trainer's own process."""

from __future__ import annotations

from collections.abc import Mapping

import psutil

from tuitrain.core.series import TRAINER_CPU, TRAINER_MEMORY, Series

_MB = 1_000_000


class Usage:
    """Reads CPU and memory usage; CPU usage is an average since the last call."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._process.cpu_percent()  # the first value is meaningless

    def read(self) -> Mapping[Series, float]:
        """Return CPU (percent) and memory (MB), without child processes such as data loaders."""
        with self._process.oneshot():
            return {
                TRAINER_CPU: self._process.cpu_percent(),
                TRAINER_MEMORY: self._process.memory_info().rss / _MB,
            }
