"""A panel whose picture is read and drawn in a thread; the event loop paints the last one."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any

from textual.geometry import Size
from textual.reactive import var

from tuitrain.tui.widgets.cells import Cells
from tuitrain.view.picture import unreadable

Draw = Callable[[Any, int, int], Any]
"""From a subject, a width and a height to what `show_drawn` shows; called in a thread."""


class AsyncPicture(Cells):
    """Draw the subject, one drawing at a time; a newer subject is drawn after that."""

    PERIOD_S = 1 / 4
    MIN_INTERVAL_S = 0.0
    """Least time between two drawings; `refresh_now` overrides it."""
    MOST_CPU = 1 / 40
    """Share of a core that the drawings of a panel may take: on a slow machine they are fewer."""

    subject: var[Any] = var(None)

    def __init__(self, draw: Draw, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._draw = draw
        self._is_stale = False
        self._drawn_at = -math.inf
        self._took_s = 0.0
        """Not that of the first drawing, which imports what it needs."""
        self._was_drawn = False
        self._drawn_size = Size()
        self._one_at_a_time = asyncio.Lock()

    def on_mount(self) -> None:
        self._due = self.set_interval(self.PERIOD_S, self.draw_if_due, pause=True)

    async def on_show(self) -> None:
        self._due.resume()

    def on_hide(self) -> None:
        """Stop the timer: most pictures of a screen are hidden, and each would wake the app."""
        self._due.pause()

    def mark_stale(self) -> None:
        """Let the next timer draw again."""
        self._is_stale = True

    def refresh_now(self) -> None:
        """Let the next timer draw again, even within `MIN_INTERVAL_S`."""
        self._is_stale = True
        self._drawn_at = -math.inf

    def on_resize(self) -> None:
        super().on_resize()
        self.refresh_now()

    def draw_now(self) -> None:
        """Draw as soon as the present drawing has ended."""
        self.refresh_now()
        self.call_later(self.draw_if_stale)

    async def draw_of(self, subject: Any) -> None:
        """Draw another subject now, if the panel is visible and the picture stale with it."""
        self.subject = subject
        await self.draw_if_stale()

    def show_drawn(self, drawn: Any) -> None:
        """Show what was drawn: a picture, or in a subclass more than that."""
        self.show(drawn)

    @property
    def is_due(self) -> bool:
        """Whether the last drawing is old enough for another one."""
        return self._age_s >= self._interval_s

    async def draw_if_due(self) -> None:
        """Draw if stale, and if the last drawing is old enough."""
        if self.is_due:
            await self.draw_if_stale()

    @property
    def _age_s(self) -> float:
        return time.monotonic() - self._drawn_at

    @property
    def _interval_s(self) -> float:
        return max(self.MIN_INTERVAL_S, self._took_s / self.MOST_CPU)

    async def draw_if_stale(self) -> None:
        """Draw the subject, if the picture is stale and the panel is visible."""
        async with self._one_at_a_time:
            if not (self._is_stale and self.subject and self._may_change):
                return
            self._is_stale, self._drawn_at = False, time.monotonic()
            size = self.size
            show: Callable[[Any], None] = self.show_drawn
            try:
                drawn = await asyncio.to_thread(self._timed, self.subject, *size)
            except Exception as error:  # noqa: BLE001 - an error in drawing must not end the app
                show, drawn = self.show, unreadable(error, *size)
                self._is_stale = True  # it may be readable the next time
            if self._may_change:
                self._drawn_size = size
                show(drawn)
            else:
                self._is_stale = True

    def _timed(self, subject: Any, width: int, height: int) -> Any:
        began = time.thread_time()
        drawn = self._draw(subject, width, height)
        if self._was_drawn:
            self._took_s = time.thread_time() - began
        self._was_drawn = True
        return drawn

    @property
    def _may_change(self) -> bool:
        """Whether a new picture may be shown: under a dialog only after a change of size."""
        if not (self.is_on_screen and self.size.area and self.screen.is_current):
            return False
        return self.screen.is_active or self.size != self._drawn_size
