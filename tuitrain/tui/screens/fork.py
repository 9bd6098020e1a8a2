"""The question from which epoch a run is forked."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from tuitrain.view.forks import Kept


class ForkScreen(ModalScreen[int | None]):
    """Choose an epoch; the result is its number, or None for none."""

    BINDINGS = [Binding("escape,f", "dismiss", "Cancel", id="dialog.cancel")]

    def __init__(self, name: str, kept: Sequence[Kept]) -> None:
        super().__init__()
        self._name = name
        self._kept = kept

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = f"fork {self._name}"
            dialog.border_subtitle = "enter goes on · esc cancels"
            yield Static(
                Content(
                    "A new run goes on from an epoch whose checkpoint is kept, with whatever you "
                    "change; this one is left as it is. From the end of epoch"
                ),
                classes="question",
            )
            yield OptionList(*(Option(Content(str(each)), str(each.epoch)) for each in self._kept))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(int(event.option_id or 0))
