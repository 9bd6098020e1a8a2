"""The next step of the guided tour."""

from __future__ import annotations

from collections.abc import Mapping

from textual.reactive import var

from tuitrain.tui.widgets.run_panels import SnapshotPanel
from tuitrain.view.panel import tour


class Guide(SnapshotPanel):
    """Show the stop of the tour that the run has reached."""

    DEFAULT_CSS = """
    Guide { background: $panel; }
    """

    view: var[str] = var("")
    """The name of the view that is shown."""
    _done = 0

    def __init__(self, keys: Mapping[str, str]) -> None:
        """`keys` has the key of each binding by its id."""
        super().__init__()
        self._keys = keys

    def watch_view(self) -> None:
        self.draw()

    def draw(self) -> None:
        """Draw the stop, as high as it is."""
        if self.snapshot is not None:
            self._done = tour.reached(self.snapshot, self.view, self._done)
        if self.size.width:
            picture = tour.picture(self._done, self._keys, self.screen.size.width)
            self.styles.height = len(picture)
            self.show(picture)
