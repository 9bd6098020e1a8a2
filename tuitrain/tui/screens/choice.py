"""A dialog with a few choices, each with its own key."""

from __future__ import annotations

from typing import NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option


class Choice(NamedTuple):
    """A choice of a dialog: its name, its key and its text."""

    name: str
    key: str
    description: str


class ChoiceScreen(ModalScreen[str | None]):
    """Show the choices; the result is the name of the chosen one, or None."""

    BINDINGS = [Binding("escape", "dismiss", "Cancel", id="dialog.cancel")]

    def __init__(self, title: str, question: str, choices: list[Choice]) -> None:
        super().__init__()
        self._title = title
        self._question = question
        self._choices = choices

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = self._title
            yield Label(Content(self._question))
            yield OptionList(*(Option(_line(choice), choice.name) for choice in self._choices))

    def on_key(self, event: Key) -> None:
        for choice in self._choices:
            if event.key == choice.key:
                event.stop()
                self.dismiss(choice.name)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)


def _line(choice: Choice) -> Content:
    return Content.assemble((f" {choice.key} ", "bold"), f" {choice.description}")
