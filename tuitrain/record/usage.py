"""What the trainer's own process uses of the machine."""

from __future__ import annotations

from collections.abc import Mapping

import psutil

from tuitrain.core.series import TRAINER_CPU, TRAINER_MEMORY, Series

_MB = 1_000_000


class Usage:
    """Reads processor and memory; the processor's share is that since the last reading."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._process.cpu_percent()  # the first one means nothing

    def read(self) -> Mapping[Series, float]:
        """Return both; children, such as those that read data, are not counted."""
        with self._process.oneshot():
            return {
                TRAINER_CPU: self._process.cpu_percent(),
                TRAINER_MEMORY: self._process.memory_info().rss / _MB,
            }
