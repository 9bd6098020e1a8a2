"""What to do next on the guided tour."""

from __future__ import annotations

from collections.abc import Mapping

from textual.reactive import var

from tuitrain.tui.widgets.cells import Cells
from tuitrain.view.panel import tour
from tuitrain.view.state.snapshot import Snapshot


class Guide(Cells):
    """Show the stop of the tour that the run has reached."""

    DEFAULT_CSS = """
    Guide { background: $panel; }
    """

    snapshot: var[Snapshot | None] = var(None)
    view: var[str] = var("")
    """The name of the view that is shown."""
    _done = 0

    def __init__(self, keys: Mapping[str, str]) -> None:
        """`keys` has the key of each binding by its id."""
        super().__init__()
        self._keys = keys

    def watch_snapshot(self) -> None:
        self._go_on()

    def watch_view(self) -> None:
        self._go_on()

    def on_resize(self) -> None:
        super().on_resize()
        self._draw()

    def _go_on(self) -> None:
        if self.snapshot is not None:
            self._done = tour.reached(self.snapshot, self.view, self._done)
            self._draw()

    def _draw(self) -> None:
        picture = tour.picture(self._done, self._keys, self.screen.size.width)
        self.styles.height = len(picture)
        self.show(picture)
