"""Warnings of nonfinite losses, in a loop whose steps are taken all the same."""

from __future__ import annotations

import math
from collections.abc import Iterable

from tuitrain.core.events import Warned
from tuitrain.store.schema import BatchRow


class Alerts:
    """Gathers a warning for each sequence of steps with a nonfinite loss."""

    def __init__(self) -> None:
        self._warnings: list[Warned] = []
        self._newest = -1
        """The newest step with a nonfinite loss."""

    def rows(self, rows: Iterable[BatchRow]) -> None:
        """Look at the losses of steps whose numbers were read."""
        for row in rows:
            if math.isfinite(row.loss):
                continue
            if row.step != self._newest + 1:
                text = (
                    f"the loss was {row.loss} at step {row.step:,}; the script took the step "
                    "(tuitrain watch --on-nonfinite skip leaves such steps out)"
                )
                self._warnings.append(Warned(text, row.take, row.step))
            self._newest = row.step

    def take(self) -> list[Warned]:
        """Return the warnings since the last call."""
        warnings, self._warnings = self._warnings, []
        return warnings
