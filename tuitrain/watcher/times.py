"""The time that the parts of a watched step take, on the host's clock.

On an accelerator a part ends when its work is queued; the wait for the work shows in the part in
which the loop waits, such as a `loss.item()`.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter_ns

DATA, ZERO_GRAD, FORWARD, LOSS, BACKWARD, STEP = range(6)


class Times:
    """Nanoseconds by part since the last step; parts may come several times in a step."""

    def __init__(self) -> None:
        self._parts = [0] * 6
        self.at = perf_counter_ns()
        """The time of the last call, in nanoseconds."""

    def end(self, part: int) -> None:
        """Add the time since the last call to a part."""
        now = perf_counter_ns()
        self._parts[part] += now - self.at
        self.at = now

    def skip(self) -> None:
        """Leave out the time since the last call, as that of a validation or a pause."""
        self.at = perf_counter_ns()

    def take(self) -> tuple[int, ...]:
        """Return the nanoseconds of a step's parts, and begin the next step."""
        parts, self._parts = tuple(self._parts), [0] * 6
        return parts


def microseconds(parts: Sequence[int]) -> list[int]:
    """Return whole microseconds, as the record keeps them."""
    return [part // 1000 for part in parts]
