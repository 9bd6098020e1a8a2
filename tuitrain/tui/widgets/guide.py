"""The next step of the guided tour."""

from __future__ import annotations

from collections.abc import Mapping

from textual.message import Message
from textual.reactive import var

from tuitrain.tui.widgets.run_panels import SnapshotPanel
from tuitrain.view.panel import tour
from tuitrain.view.panel.tour import Place


class Guide(SnapshotPanel):
    """Show the stop of the tour that the run has reached, until the user goes on from it."""

    DEFAULT_CSS = """
    Guide { background: $panel; }
    """

    view: var[str] = var("")
    """The name of the view that is shown."""
    _place: Place | None = None

    class Reached(Message):
        """The run has done what a stop takes, or the next stop begins."""

        def __init__(self, place: Place) -> None:
            super().__init__()
            self.place = place

    def __init__(self, keys: Mapping[str, str], kept: Place) -> None:
        """`keys` has the key of each binding by its id; `kept` is where the tour was left."""
        super().__init__()
        self._keys = keys
        self._kept = kept

    def watch_view(self) -> None:
        self.draw()

    def turn(self) -> bool:
        """Go on to the next stop; return false if this one is not done."""
        if self._place is None or not self._place.has_seen:
            return False
        self._place = Place(self._place.done + 1)
        self.post_message(self.Reached(self._place))
        self.draw()
        return True

    def draw(self) -> None:
        """Draw the stop, as high as it is."""
        run = self.snapshot
        if run is None:
            return
        before = self._place or max(self._kept, Place.of(run))
        self._place = before.after(run, self.view)
        if self._place != before:
            self.post_message(self.Reached(self._place))
        if self.size.width:
            width = self.screen.size.width
            picture = tour.picture(self._place, run, self.view, self._keys, width)
            self.styles.height = len(picture)
            self.show(picture)
