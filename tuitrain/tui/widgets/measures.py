"""Small charts of the numbers that stay comparable when the loss is swapped."""

from __future__ import annotations

from tuitrain.tui.widgets.drawn import Drawn
from tuitrain.view import curves, multiples
from tuitrain.view.model import Snapshot


class Measures(Drawn):
    """Metrics, and what each fitting loss makes of the validations; new when an epoch ends."""

    PERIOD_S = 1.0
    REST_S = 4.0

    def watch_settled(self, before: Snapshot | None, settled: Snapshot | None) -> None:
        if settled is None or (before and _seen(before) == _seen(settled)):
            return
        self.settle_again()
        if before is None or (before.loss, before.state) != (settled.loss, settled.state):
            self.hurry()
        self._entitle_for_room()

    def on_resize(self) -> None:
        super().on_resize()
        self._entitle_for_room()

    def _entitle_for_room(self) -> None:
        if self.settled is not None:
            is_large = self.screen.has_class("-measures")
            self.entitle(multiples.title(self.settled, *self.size, is_large=is_large))


def _seen(run: Snapshot) -> tuple[object, ...]:
    """Return what the charts depend on."""
    return run.last_epoch, run.take, run.loss, run.state, curves.last_of_axis(run)
