"""Warnings of the nonfinite losses of a watched loop that takes its steps in spite of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from tuitrain.core.events import Warned
from tuitrain.store.schema import BatchRow


class NonfiniteLosses:
    """Yields one warning for each sequence of consecutive nonfinite losses."""

    def __init__(self) -> None:
        self._until = -1
        """The newest step with a nonfinite loss."""

    def warnings(self, rows: Iterable[BatchRow]) -> Iterator[Warned]:
        """Yield the warnings of rows, given in order."""
        for row in [row for row in rows if not math.isfinite(row.loss)]:
            if row.step != self._until + 1:
                text = (
                    f"the loss was {row.loss} at step {row.step:,}; the script took the step "
                    "(tuitrain watch --on-nonfinite skip leaves such steps out)"
                )
                yield Warned(text, row.take, row.step)
            self._until = row.step
