"""The text panels of a run; each draws its function of `view.panel` when its snapshot changes."""

from __future__ import annotations

from textual.geometry import Size
from textual.reactive import var

from tuitrain.tui.widgets.cells import Cells
from tuitrain.view.panel import event_log, panels, vitals
from tuitrain.view.panel.advice_lines import advice_lines
from tuitrain.view.picture import Picture
from tuitrain.view.state.snapshot import Snapshot

_ADVICE_LINES, _HIGH = 3, 16
"""Most lines of advice, on screens of that height; lower ones have one line."""


class SnapshotPanel(Cells):
    """Cells that are drawn from a snapshot of the run: anew for each, and for a new size."""

    snapshot: var[Snapshot | None] = var(None)

    def watch_snapshot(self) -> None:
        self.draw()

    def on_resize(self) -> None:
        super().on_resize()
        self.draw()

    def draw(self) -> None:
        """Draw the snapshot, if there is one and the panel is shown."""
        snapshot = self.snapshot
        if snapshot is not None and self.is_on_screen and self.size.area:
            self.attempt(lambda: self.picture(snapshot))

    def picture(self, snapshot: Snapshot) -> Picture:
        """Return the picture of the snapshot, for the panel's size."""
        raise NotImplementedError


class RunHeader(SnapshotPanel):
    """Title and state of the run, and the pending commands."""

    pending: var[tuple[str, ...]] = var(())

    def watch_pending(self) -> None:
        self.draw()

    def picture(self, snapshot: Snapshot) -> Picture:
        return panels.header(snapshot, self.pending, self.size.width)


class Vitals(SnapshotPanel):
    """The numbers, as high as they need to be."""

    def get_content_height(self, _container: Size, _viewport: Size, width: int) -> int:
        return vitals.vitals_height(width)

    def picture(self, snapshot: Snapshot) -> Picture:
        return vitals.vitals(snapshot, self.size.width)


class Progress(SnapshotPanel):
    """Bars of the epoch and of the run."""

    DEFAULT_CLASSES = "box"

    def picture(self, snapshot: Snapshot) -> Picture:
        return panels.progress(snapshot, self.size.width)


class RunAdvice(SnapshotPanel):
    """Advice on the training; it takes no room if there is none."""

    def draw(self) -> None:
        """Draw the advice, and take the room that it needs."""
        if self.snapshot is not None:
            lines = self.picture(self.snapshot)
            self.display = bool(lines)
            self.styles.height = max(1, len(lines))
            self.show(lines)

    def picture(self, snapshot: Snapshot) -> Picture:
        width, height = self.screen.size
        return advice_lines(snapshot, width, _ADVICE_LINES if height >= _HIGH else 1)


class EpochTable(SnapshotPanel, can_focus=True):
    """The table of epochs."""

    DEFAULT_CLASSES = "panel"
    BORDER_TITLE = "epochs"

    def picture(self, snapshot: Snapshot) -> Picture:
        stride = panels.epoch_stride(snapshot, self.size.height - 1)
        every = "" if stride == 1 else f", every {'other' if stride == 2 else f'{stride}th'}"
        self.entitle(f"epochs{every}")
        return panels.epochs(snapshot, self.size.width, self.size.height)


class Events(SnapshotPanel, can_focus=True):
    """The log of what happened."""

    DEFAULT_CLASSES = "panel"
    BORDER_TITLE = "events"

    def picture(self, snapshot: Snapshot) -> Picture:
        return event_log.events(snapshot, self.size.width, self.size.height)
