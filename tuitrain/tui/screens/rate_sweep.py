"""A dialog that follows a sweep of the learning rate."""

from __future__ import annotations

from collections.abc import Callable

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import ModalScreen

from tuitrain.tui.widgets.async_picture import AsyncPicture
from tuitrain.tui.widgets.dialog import Dialog
from tuitrain.view.chart import rate_sweep
from tuitrain.view.panel.reads import Details
from tuitrain.view.picture import Picture
from tuitrain.view.state.snapshot import Snapshot

_LOOK_S = 1 / 4


class RateSweepScreen(ModalScreen[float | None]):
    """Show the newest sweep; the result is its suggestion to be used, or None."""

    BINDINGS = [
        Binding("escape,L", "dismiss", "Cancel", id="dialog.cancel"),
        Binding("enter,r", "use", "Use", id="sweep.use",
                tooltip="Change the learning rate, beginning with the suggestion"),
    ]  # fmt: skip

    picture = getters.query_one("#sweep", AsyncPicture)

    def __init__(self, latest: Callable[[], Snapshot], details: Details) -> None:
        """`latest` returns the newest snapshot; `details` is read in a thread."""
        super().__init__()
        self._latest = latest
        self._details = details

    def compose(self) -> ComposeResult:
        with Dialog() as dialog:
            dialog.border_title = "learning-rate finder"
            yield AsyncPicture(self._draw, id="sweep")

    def on_mount(self) -> None:
        self.follow()
        self.set_interval(_LOOK_S, self.follow)

    def follow(self) -> None:
        """Show how far the sweep has come."""
        run = self._latest()
        swept = rate_sweep.result(run)
        use = ("enter changes the rate",) if swept and swept.suggestion else ()
        self.query_one(Dialog).keys = (*use, "esc keeps it")
        if run is not self.picture.subject or swept is None:  # its points come without an event
            self.picture.mark_stale()
        self.picture.subject = run

    def action_use(self) -> None:
        swept = rate_sweep.result(self._latest())
        if swept is not None and swept.suggestion is not None:
            self.dismiss(swept.suggestion)

    def _draw(self, run: Snapshot, width: int, height: int) -> Picture:
        return rate_sweep.chart(run, self._details, width, height)
