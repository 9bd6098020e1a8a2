"""A clock for periodic work."""

from __future__ import annotations

import time
from collections.abc import Callable


class Every:
    """Reports when periodic work is due: at the first call, then `seconds` after it last was."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._due_at = float("-inf")

    def is_due(self) -> bool:
        """Return whether the work is due; if so, start the next period now."""
        now = self._clock()
        if now < self._due_at:
            return False
        self._due_at = now + self._seconds
        return True
