"""The training loss of an epoch: the mean over the samples of its steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from tuitrain.store.schema import BatchRow


class EpochLoss:
    """Adds up the losses of an epoch, as they are read; goes back with the loop that has them."""

    def __init__(self) -> None:
        self.read: Callable[[], None] = lambda: None
        """Reads the losses of the steps until now, so that all of them are added."""
        self._total, self._samples = 0.0, 0

    def add(self, rows: Iterable[BatchRow]) -> None:
        """Add the losses of steps."""
        for row in rows:
            samples = row.samples or 1
            self._total += row.loss * samples
            self._samples += samples

    def take(self) -> float:
        """Return the mean of the steps that are read, and begin the next epoch; NaN without any."""
        total, samples = self._total, self._samples
        self._total, self._samples = 0.0, 0
        return total / samples if samples else math.nan

    def state(self) -> list[float]:
        """Return the sums, of all steps until now."""
        self.read()
        return [self._total, self._samples]

    def restore(self, state: Sequence[float]) -> None:
        """Go back to those sums; the steps since then do not count."""
        self.read()
        self._total, self._samples = state[0], int(state[1])
