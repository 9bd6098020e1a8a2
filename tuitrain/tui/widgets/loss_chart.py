"""The loss chart of a run."""

from __future__ import annotations

from tuitrain.tui.widgets.async_picture import AsyncPicture
from tuitrain.view.state.snapshot import Snapshot


class LossChart(AsyncPicture, can_focus=True):
    """The loss of every batch."""

    DEFAULT_CLASSES = "panel"

    def watch_subject(self, subject: Snapshot | None) -> None:
        self.mark_stale()
        if subject is not None:
            self.entitle(f"loss: {subject.loss}" if subject.loss else "loss")
