"""The loss chart of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from textual import events
from textual.message import Message

from tuitrain.tui.widgets.async_picture import AsyncPicture
from tuitrain.view.chart.run_charts import Charted
from tuitrain.view.chart.validations import SIGNS
from tuitrain.view.state.snapshot import Snapshot


class LossChart(AsyncPicture, can_focus=True):
    """The loss of every batch. Clicks and the wheel of the mouse become messages with a step."""

    DEFAULT_CLASSES = "panel"
    MIN_INTERVAL_S = 0.8

    @dataclass
    class Pointed(Message):
        """A step was clicked."""

        step: int

    @dataclass
    class Turned(Message):
        """The wheel was turned over a step."""

        step: int
        is_up: bool

    _charted = Charted(())

    @property
    def is_log(self) -> bool:
        """Whether the y axis that is shown is logarithmic."""
        return self._charted.drawing is not None and self._charted.drawing.is_log

    def watch_subject(self, before: Snapshot | None, subject: Snapshot | None) -> None:
        self.mark_stale()
        if _marked_in(before) != _marked_in(subject):
            self.refresh_now()
        self._entitle_chart()

    async def draw_if_due(self) -> None:
        """Draw a chart that the screen of the run has left stale for twice its interval.

        Usually that screen draws it together with the other panels, for one frame.
        """
        if self._age_s >= 2 * self._interval_s:
            await self.draw_if_stale()

    def show_drawn(self, drawn: Any) -> None:
        """Show a chart and its title."""
        self._charted = drawn
        self._entitle_chart()
        self.show(drawn.picture)

    def _entitle_chart(self) -> None:
        run: Snapshot | None = self.subject
        if run is not None:
            loss = f"loss: {run.loss}" if run.loss else "loss"
            signs = [SIGNS] if self.app.no_color else []
            self.entitle(" · ".join([self._charted.readout or loss, *self._charted.notes, *signs]))

    def on_click(self, event: events.Click) -> None:
        if (step := self._step_under(event)) is not None:
            self.post_message(self.Pointed(step))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._turn(event, is_up=True)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._turn(event, is_up=False)

    def _turn(self, event: events.MouseEvent, *, is_up: bool) -> None:
        if (step := self._step_under(event)) is not None:
            event.stop()
            self.post_message(self.Turned(step, is_up))

    def _step_under(self, event: events.MouseEvent) -> int | None:
        offset = event.get_content_offset(self)
        return None if offset is None else self._charted.step_at(offset.x)


def _marked_in(run: Snapshot | None) -> object:
    """Return what a chart shows at once when it changes."""
    return run and (run.take, run.loss, run.state)
