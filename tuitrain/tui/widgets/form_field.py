"""One line of a form: a label, an input, and a hint or an error."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from tuitrain.view.form import form


class FormField(Horizontal):
    """A setting of a run; `text` is the text in its input."""

    DEFAULT_CSS = """
    FormField {
        height: 1;
        & > .label { width: 15; color: $cell-muted; }
        & > Input { width: 22; background: $panel; }
        & > .said { width: 1fr; margin-left: 2; color: $cell-muted; text-wrap: nowrap;
                    text-overflow: ellipsis; }
        &:focus-within > .label { color: $accent; }
    }
    """

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name=name, id=name)
        self._initial = text
        self.choices: Sequence[str] = form.choices(name, {}) or ()
        self.is_wrong = False

    def compose(self) -> ComposeResult:
        suggester = SuggestFromList(self.choices) if self.choices else None
        label = (self.name or "").replace("_", " ")
        yield Static(Content(label), classes="label")
        yield Input(self._initial, compact=True, suggester=suggester, select_on_focus=False)
        yield Static(classes="said")

    @property
    def text(self) -> str:
        return self.query_one(Input).value.strip()

    @text.setter
    def text(self, text: str) -> None:
        self.query_one(Input).value = text

    def suggest(self, default: str) -> None:
        """Show what is used where nothing is typed."""
        self.query_one(Input).placeholder = default

    def focus_input(self) -> None:
        """Focus the input, and show it, also if it had the focus already."""
        self.query_one(Input).focus()
        self.scroll_visible(animate=False)

    def say(self, error: str, hint: str) -> None:
        """Show the error, or without one the hint."""
        self.is_wrong = bool(error)
        said = Content.styled(f"✗ {error}", "$error") if error else Content(hint)
        self.query_one(".said", Static).update(said)

    def choose(self, choices: Sequence[str], by: int) -> None:
        """Select the choice `by` places after the present one, cyclically."""
        if choices:
            present = choices.index(self.text) if self.text in choices else -by
            self.text = choices[(present + by) % len(choices)]
