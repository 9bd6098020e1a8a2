"""When the ranks of a run meet: about four times a second, whatever a step takes."""

from __future__ import annotations

import time
from collections.abc import Callable

MEET_EVERY_S = 0.25
_MOST_STEPS = 1 << 16


class Rhythm:
    """The number of steps from one meeting to the next."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.steps = 1
        self._clock = clock
        self._went_on: tuple[float, int] | None = None
        """When, and at which step, they went on from the last meeting."""

    def meet(self, step: int) -> None:
        """Let `steps` be as many as take about a quarter of a second."""
        if (step_s := self.step_s(step)) is not None:
            self.steps = max(1, min(round(MEET_EVERY_S / step_s), 4 * self.steps, _MOST_STEPS))

    def step_s(self, step: int) -> float | None:
        """Return the time of a step since the last meeting; None if there was none."""
        if self._went_on is None:  # a run that is resumed has steps behind it
            return None
        since, before = self._went_on
        trained, took_s = step - before, self._clock() - since
        return took_s / trained if trained > 0 and took_s > 0 else None

    def go_on(self, step: int) -> None:
        """They go on from a meeting."""
        self._went_on = self._clock(), step
