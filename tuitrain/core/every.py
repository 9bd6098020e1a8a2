"""What is to be done now and then, by a clock."""

from __future__ import annotations

import time
from collections.abc import Callable


class Every:
    """Tells whether so many seconds have gone by since it last said so; at first they have."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._due_at = float("-inf")

    def is_due(self) -> bool:
        """Return whether it is time, and if so, count from now on."""
        now = self._clock()
        if now < self._due_at:
            return False
        self._due_at = now + self._seconds
        return True
