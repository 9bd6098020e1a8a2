"""A dialog to choose a kept epoch of a run, for a fork or a rollback."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tuitrain.core.safe import safe
from tuitrain.view.panel.forks import KeptEpoch

FORK = (
    "A new run goes on from an epoch whose checkpoint is kept, with whatever you change; this one "
    "is left as it is. From the end of epoch"
)
ROLLBACK = (
    "The run goes back to an epoch whose checkpoint is kept, with the settings of now. What came "
    "after it is left behind, but stays in the record, and an undo brings it back. To the end of "
    "epoch"
)


class EpochScreen(ModalScreen[int | None]):
    """Choose an epoch; the result is its number, or None if cancelled."""

    BINDINGS = [Binding("escape", "dismiss", "Cancel", id="dialog.cancel")]

    def __init__(self, title: str, question: str, kept: Sequence[KeptEpoch]) -> None:
        super().__init__()
        self._title = title
        self._question = question
        self._kept = kept

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(safe(self._title))  # no markup
            dialog.border_subtitle = "enter goes on · esc cancels"
            yield Static(Content(self._question), classes="question")
            yield OptionList(
                *(
                    Option(Content(str(checkpoint)), str(checkpoint.epoch))
                    for checkpoint in self._kept
                )
            )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(int(event.option_id or 0))
