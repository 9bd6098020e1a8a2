"""A clock for periodic work."""

from __future__ import annotations

import time
from collections.abc import Callable


class Every:
    """True once per period of so many seconds, and true the first time."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._due_at = float("-inf")

    def is_due(self) -> bool:
        """Return whether the period is over; if so, start the next one."""
        now = self._clock()
        if now < self._due_at:
            return False
        self._due_at = now + self._seconds
        return True
