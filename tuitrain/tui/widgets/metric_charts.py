"""Small charts of the validation values that stay comparable when the loss is swapped."""

from __future__ import annotations

from tuitrain.tui.widgets.async_picture import AsyncPicture
from tuitrain.view.chart import curves, multiples
from tuitrain.view.state.snapshot import Snapshot


class MetricCharts(AsyncPicture, can_focus=True):
    """Metrics and every fitting loss on the validation data; redrawn when an epoch ends."""

    DEFAULT_CLASSES = "panel"
    PERIOD_S = 1.0
    MIN_INTERVAL_S = 4.0

    def watch_subject(self, before: Snapshot | None, subject: Snapshot | None) -> None:
        if subject is None or (before and _inputs_of(before) == _inputs_of(subject)):
            return
        self.mark_stale()
        if before is None or (before.loss, before.state) != (subject.loss, subject.state):
            self.refresh_now()
        self._entitle_for_room()

    def on_resize(self) -> None:
        super().on_resize()
        self._entitle_for_room()

    def _entitle_for_room(self) -> None:
        if self.subject is not None:
            is_large = self.screen.has_class("-metrics")
            self.entitle(multiples.title(self.subject, *self.size, is_large=is_large))


def _inputs_of(run: Snapshot) -> tuple[object, ...]:
    """Return the parts of the snapshot that the charts depend on."""
    return run.last_epoch, run.take, run.loss, run.state, curves.last_of_axis(run)
