"""The loss chart of a run."""

from __future__ import annotations

from tuitrain.tui.widgets.drawn import Drawn
from tuitrain.view.model import Snapshot


class LossChart(Drawn):
    """Every batch's loss, as it comes."""

    def watch_settled(self, settled: Snapshot | None) -> None:
        self.settle_again()
        if settled is not None:
            self.entitle(f"loss: {settled.loss}")
