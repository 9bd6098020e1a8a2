"""One line of a form: a label, an input, and a hint or an error."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Key, MouseDown
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from tuitrain.view.form import form


class FieldInput(Input):
    """An input whose text is selected when it is entered, so that typing replaces it.

    A colon is put after the text: no name begins with one, but the options of an entry do.
    """

    _is_just_entered = False

    def on_focus(self) -> None:
        self._is_just_entered = True
        self.call_later(self._stay)

    def _stay(self) -> None:
        self._is_just_entered = False

    def on_mouse_down(self, event: MouseDown) -> None:
        """Keep the selection at the click that enters; further ones place the cursor."""
        if self._is_just_entered:
            event.prevent_default()

    def on_key(self, event: Key) -> None:
        if event.character == ":" and self.selected_text == self.value:
            self.action_end()


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
        yield FieldInput(self._initial, compact=True, suggester=suggester)
        yield Static(classes="said")

    @property
    def text(self) -> str:
        return self.query_one(Input).value.strip()

    @text.setter
    def text(self, text: str) -> None:
        field = self.query_one(Input)
        field.value = text
        if field.has_focus:
            field.select_all()

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
