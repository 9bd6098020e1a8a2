"""A pace: at most so many batches a second."""

from __future__ import annotations

from collections.abc import Callable


class Pace:
    """Computes when the next batch is due. A pace of None never waits."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._due = 0.0

    def count(self, per_s: float | None) -> None:
        """Count a batch that was trained at this pace."""
        if per_s:
            # not from the last due time alone: a slow batch must not be made up for by a burst
            self._due = max(self._due, self._clock() - 1 / per_s) + 1 / per_s

    def wait_s(self, per_s: float | None) -> float:
        """Return the seconds until the next batch is due."""
        return max(0.0, self._due - self._clock()) if per_s else 0.0

    def restart(self) -> None:
        """Make the next batch due at once."""
        self._due = 0.0
