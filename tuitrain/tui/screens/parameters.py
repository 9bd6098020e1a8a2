"""A dialog for the parameters of a loss, validated while the user types."""

from __future__ import annotations

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static
from textual.widgets.input import Selection

from tuitrain.core.errors import TuitrainError
from tuitrain.core.problem import Problem
from tuitrain.core.safe import safe
from tuitrain.tui.widgets.dialog import Dialog


class ParametersScreen(ModalScreen[str | None]):
    """Ask for the parameters of a loss; the result is the text of the loss with them, or None."""

    BINDINGS = [Binding("escape", "dismiss", "Cancel", id="dialog.cancel")]

    field = getters.query_one("#value", Input)
    verdict = getters.query_one("#verdict", Static)

    def __init__(self, problem: Problem, text: str) -> None:
        super().__init__()
        self._problem = problem
        self._loss_name = text.partition(":")[0]
        self._parameters = problem.parameters(text)

    def compose(self) -> ComposeResult:
        with Dialog() as dialog:
            dialog.border_title = f"{safe(self._loss_name, limit=40)} with parameters"
            dialog.keys = ("enter takes them", "esc leaves them")
            description = [
                ", ".join(filter(None, (f"{option.key}: {option.description}", option.takes)))
                for option in self._problem.options[self._loss_name]
            ]
            yield Static(Content("\n".join(map(safe, description))), classes="question")
            yield Input(",".join(self._parameters), id="value", classes="wide", compact=True,
                        select_on_focus=False)  # fmt: skip
            yield Static(id="verdict")

    def on_mount(self) -> None:
        """Select the first value, so that typing replaces it."""
        self.field.focus()
        name, sign, value = ",".join(self._parameters[:1]).partition("=")
        start = len(name + sign)
        self.field.selection = Selection(start, start + len(value))

    def on_input_changed(self) -> None:
        self._text()

    def on_input_submitted(self) -> None:
        if (text := self._text()) is not None:
            self.dismiss(text)

    def _text(self) -> str | None:
        """Return the text of the loss in the field, or None if invalid; show it or the error."""
        typed = self.field.value.replace(" ", "")
        try:
            text = self._problem.loss_text(f"{self._loss_name}:{typed}".removesuffix(":"))
        except TuitrainError as error:
            self.verdict.update(Content.styled(safe(error), "$error"))
            return None
        self.verdict.update(Content.styled(text, "$cell-muted"))
        return text
