"""A dialog with a few choices, each with its own key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.events import Key
from textual.screen import ModalScreen, Screen
from textual.widgets import Label, OptionList
from textual.widgets.option_list import Option

from tuitrain.tui.widgets.dialog import Dialog


class Choice(NamedTuple):
    """A choice of a dialog: its name, its key and its text."""

    name: str
    key: str
    description: str


def confirm(
    screen: Screen[Any], title: str, question: str, do: Callable[[], object], *, yes: str, no: str
) -> None:
    """Ask whether to `do` something, and do it on y; `yes` and `no` are the texts of the keys."""
    choices = [Choice("yes", "y", yes), Choice("no", "n", no)]

    def act(chosen: str | None) -> None:
        if chosen == "yes":
            do()

    screen.app.push_screen(ChoiceScreen(title, question, choices), act)


class ChoiceScreen(ModalScreen[str | None]):
    """Show the choices; the result is the name of the chosen one, or None."""

    BINDINGS = [Binding("escape", "dismiss", "Cancel", id="dialog.cancel")]

    def __init__(self, title: str, question: str, choices: list[Choice]) -> None:
        super().__init__()
        self._title = title
        self._question = question
        self._choices = choices

    def compose(self) -> ComposeResult:
        with Dialog() as dialog:
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
