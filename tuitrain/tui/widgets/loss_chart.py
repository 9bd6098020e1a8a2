"""The loss chart: read and drawn off the event loop; painting hands back the last picture."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual.reactive import var

from tuitrain.tui.widgets.cells import Cells
from tuitrain.view.model import Snapshot
from tuitrain.view.picture import Picture

DRAW_PERIOD_S = 1 / 4

Draw = Callable[[Snapshot, int, int], Picture]
"""From a snapshot, a width and a height to cells; called in a thread."""


class LossChart(Cells):
    """Draw the newest snapshot, never two at a time; what came meanwhile is drawn next."""

    SLICES = 8

    settled: var[Snapshot | None] = var(None)

    def __init__(self, draw: Draw, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._draw = draw
        self._is_stale = False
        self._one_at_a_time = asyncio.Lock()

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(DRAW_PERIOD_S, self.draw_if_stale)

    def watch_settled(self, settled: Snapshot | None) -> None:
        self._is_stale = True
        if settled is not None:
            self.entitle(f"loss: {settled.loss}")

    def settle_again(self) -> None:
        """Draw once more what is shown: its picture changes with time alone."""
        self._is_stale = True

    def on_resize(self) -> None:
        super().on_resize()
        self._is_stale = True

    async def draw_if_stale(self) -> None:
        """Draw the newest snapshot, if it is not drawn yet and can be seen."""
        async with self._one_at_a_time:
            if not (self._is_stale and self.settled and self.size.area and self.screen.is_current):
                return
            self._is_stale = False
            self.show(await asyncio.to_thread(self._draw, self.settled, *self.size))
