"""The text panels of a run: each draws its function of `view.panels` when its snapshot changes."""

from __future__ import annotations

from textual.reactive import var

from tuitrain.tui.widgets.cells import Cells
from tuitrain.view.panel import panels
from tuitrain.view.picture import Picture
from tuitrain.view.state.snapshot import Snapshot


class _Panel(Cells):
    """A panel of the snapshot that changes at most once a second, but at once after a key."""

    subject: var[Snapshot | None] = var(None)

    def watch_subject(self) -> None:
        self.draw()

    def on_resize(self) -> None:
        super().on_resize()
        self.draw()

    def draw(self) -> None:
        """Draw the newest snapshot, if there is room and something to draw."""
        if (subject := self.subject) is not None and self.size.area:
            self.attempt(lambda: self.picture(subject))

    def picture(self, subject: Snapshot) -> Picture:
        """Return what the panel shows of it, for the panel's size."""
        raise NotImplementedError


class Header(_Panel):
    """Title and state of the run, and its pending commands."""

    asked: var[tuple[str, ...]] = var(())

    def watch_asked(self) -> None:
        self.draw()

    def picture(self, subject: Snapshot) -> Picture:
        return panels.header(subject, self.asked, self.size.width)


class Vitals(_Panel):
    """The numbers. Step and loss follow `now`, which changes several times a second."""

    now: var[Snapshot | None] = var(None)

    def watch_now(self) -> None:
        self.draw()

    def picture(self, subject: Snapshot) -> Picture:
        return panels.vitals(self.now or subject, subject, self.size.width)


class Progress(_Panel):
    """Bars of the epoch and of the run."""

    def picture(self, subject: Snapshot) -> Picture:
        return panels.progress(subject, self.size.width)


class Epochs(_Panel):
    """The table of epochs."""

    BORDER_TITLE = "epochs"

    def picture(self, subject: Snapshot) -> Picture:
        stride = panels.epoch_stride(subject, self.size.height - 1)
        every = "" if stride == 1 else f", every {'other' if stride == 2 else f'{stride}th'}"
        self.entitle(f"epochs{every}")
        return panels.epochs(subject, self.size.width, self.size.height)


class Events(_Panel):
    """The log of what happened."""

    BORDER_TITLE = "events"

    def picture(self, subject: Snapshot) -> Picture:
        return panels.events(subject, self.size.width, self.size.height)
