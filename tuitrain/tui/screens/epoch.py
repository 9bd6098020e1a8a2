"""A dialog to choose a kept epoch of a run, for a fork or a rollback."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tuitrain.core.safe import safe
from tuitrain.tui.widgets.dialog import Dialog
from tuitrain.view.panel.forks import KeptEpoch

FORK = (
    "Epochs whose checkpoint is kept. A new run goes on from the end of one, with whatever you "
    "change; this one is left as it is."
)
ROLLBACK = (
    "Epochs whose checkpoint is kept. The run goes back to the end of one, with the settings of "
    "now. What came after it is left behind, but stays in the record, and an undo brings it back."
)
_BESIDE = 6
"""Cells beside a row of the dialog in a terminal that is hardly wider."""


class EpochScreen(ModalScreen[int | None]):
    """Choose an epoch; the result is its number, or None if cancelled."""

    BINDINGS = [Binding("escape", "dismiss", "Cancel", id="dialog.cancel")]

    def __init__(self, title: str, explained: str, kept: Sequence[KeptEpoch]) -> None:
        super().__init__()
        self._title = title
        self._explained = explained
        self._kept = kept

    def compose(self) -> ComposeResult:
        cells = self.app.size.width - _BESIDE
        with Dialog() as dialog:
            dialog.border_title = Content(safe(self._title))  # no markup
            dialog.keys = ("enter goes on", "esc cancels")
            yield OptionList(
                *(
                    Option(Content(checkpoint.line(cells)), str(checkpoint.epoch))
                    for checkpoint in self._kept
                )
            )
            yield Static(Content(self._explained), classes="explained")

    def on_mount(self) -> None:
        """Begin at the best epoch, to which most go back."""
        best = (place for place, epoch in enumerate(self._kept) if epoch.is_best)
        self.query_one(OptionList).highlighted = next(best, 0)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(int(event.option_id or 0))
