"""Small charts of the validation values that stay comparable when the loss is swapped."""

from __future__ import annotations

import time

from tuitrain.tui.widgets.async_picture import AsyncPicture
from tuitrain.view.chart import live, multiples
from tuitrain.view.chart.chart_view import USUAL, ChartView
from tuitrain.view.chart.curves import Curves
from tuitrain.view.picture import Picture
from tuitrain.view.state.snapshot import Snapshot


class MetricCharts(AsyncPicture, can_focus=True):
    """Metrics and losses on the validation data; redrawn when an epoch ends.

    The numbers in their titles are always those of the subject; curves are drawn less often.
    """

    DEFAULT_CLASSES = "panel"
    CURVES_EVERY_S = 4.0
    """Least time between two drawings of the curves."""
    MOST_CPU_OF_CURVES = 1 / 200
    """Share of a core that they may take: they change least of all that is shown."""
    MUCH_LONGER = 1.25
    """Times the epochs that are drawn: so many are drawn at once, as the first ones of a run."""

    _view = USUAL
    _forgotten_at = 0.0
    _curves_took_s = 0.0
    _epochs_drawn = 0

    def __init__(self, curves: Curves, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(self._draw_curves, id=id)
        self._curves = curves
        self.drawn = multiples.DrawnCharts()
        """The curves that need not be drawn again."""

    def _draw_curves(self, run: Snapshot, width: int, height: int) -> Picture:
        has_curves, began = self.drawn.validations is not None, time.thread_time()
        drawn = multiples.of_run(run, self._curves, width, height, self._view, drawn=self.drawn)
        if not has_curves:
            self._curves_took_s = time.thread_time() - began
            self._epochs_drawn = _epochs(run)
        return drawn

    def watch_subject(self, before: Snapshot | None, subject: Snapshot | None) -> None:
        if subject is None or (before and _inputs_of(before) == _inputs_of(subject)):
            return
        self.mark_stale()
        every_s = max(self.CURVES_EVERY_S, self._curves_took_s / self.MOST_CPU_OF_CURVES)
        is_much_longer = _epochs(subject) > self._epochs_drawn * self.MUCH_LONGER
        if is_much_longer or time.monotonic() - self._forgotten_at >= every_s:
            self._forget()
        if before is None or (before.loss, before.state) != (subject.loss, subject.state):
            self.refresh_now()
        self._entitle_for_room()

    def refresh_now(self) -> None:
        super().refresh_now()
        self._forget()

    def _forget(self) -> None:
        """Have the next picture draw the curves, too."""
        self.drawn, self._forgotten_at = multiples.DrawnCharts(), time.monotonic()

    def on_resize(self) -> None:
        super().on_resize()
        self._entitle_for_room()

    def look(self, view: ChartView) -> None:
        """Draw the charts as they are looked at now."""
        self._view = view
        self._entitle_for_room()
        self.draw_now()

    def _entitle_for_room(self) -> None:
        if self.subject is not None:
            is_large = self.screen.has_class("-metrics")
            title = multiples.title(self.subject, *self.size, self._view, is_large=is_large)
            self.entitle(title)


def _epochs(run: Snapshot) -> int:
    return run.last_epoch.epoch if run.last_epoch else 0


def _inputs_of(run: Snapshot) -> tuple[object, ...]:
    """Return the parts of the snapshot that the charts depend on."""
    return run.last_epoch, run.take, run.loss, run.state, live.last_of_axis(run)
