"""A dialog for the parameters of a loss, validated while the user types."""

from __future__ import annotations

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tuitrain.catalog import loss_named
from tuitrain.catalog.choice import loss_text
from tuitrain.core.errors import TuitrainError
from tuitrain.core.problem import Problem
from tuitrain.core.safe import safe
from tuitrain.view.state.lesson import parameters


class ParametersScreen(ModalScreen[str | None]):
    """Ask for the parameters of a loss; the result is the text of the loss with them, or None."""

    BINDINGS = [Binding("escape", "dismiss", "Cancel", id="dialog.cancel")]

    field = getters.query_one("#value", Input)
    verdict = getters.query_one("#verdict", Static)

    def __init__(self, problem: Problem, text: str) -> None:
        super().__init__()
        self._loss = loss_named(text.partition(":")[0])
        self._parameters = parameters(problem, text)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = f"{self._loss.name} with parameters"
            dialog.border_subtitle = "enter takes them · esc leaves them"
            description = [
                f"{key}: {option.description}, {option.type.description}"
                for key, option in self._loss.options.items()
            ]
            yield Static(Content("\n".join(description)), classes="question")
            yield Input(",".join(self._parameters), id="value", classes="wide", compact=True,
                        select_on_focus=False)  # fmt: skip
            yield Static(id="verdict")

    def on_mount(self) -> None:
        self.field.focus()

    def on_input_changed(self) -> None:
        self._text()

    def on_input_submitted(self) -> None:
        if (text := self._text()) is not None:
            self.dismiss(text)

    def _text(self) -> str | None:
        """Return the text of the loss in the field, or None if invalid; show it or the error."""
        typed = self.field.value.replace(" ", "")
        try:
            text = loss_text(f"{self._loss.name}:{typed}" if typed else self._loss.name)
        except TuitrainError as error:
            self.verdict.update(Content.styled(safe(error), "$error"))
            return None
        self.verdict.update(Content.styled(text, "$cell-muted"))
        return text
