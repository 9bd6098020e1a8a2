"""A dialog for a setting's value, validated while the user types."""

from __future__ import annotations

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tuitrain.core.commands import LIVE, SETTINGS, Change, Setting
from tuitrain.core.errors import TuitrainError
from tuitrain.core.safe import safe
from tuitrain.tui.widgets.dialog import Dialog
from tuitrain.view.form.settings import strode, typed

Number = float | int | None


class NumberScreen(ModalScreen[Change | None]):
    """Ask for the new value of a setting; the result is the change, or None for no change."""

    BINDINGS = [
        Binding("escape", "dismiss", "Cancel", id="dialog.cancel"),
        Binding("up", "stride('up')", "More", id="number.more"),
        Binding("down", "stride('down')", "Less", id="number.less"),
        Binding("pageup", "stride('pageup')", "Much more", id="number.much_more"),
        Binding("pagedown", "stride('pagedown')", "Much less", id="number.much_less"),
    ]

    field = getters.query_one("#value", Input)
    verdict = getters.query_one("#verdict", Static)

    def __init__(
        self,
        setting: Setting,
        value: Number,
        suggestion: Number = None,
    ) -> None:
        """`value` is the one in use; the field begins with the suggestion, if there is one."""
        super().__init__()
        self._setting = setting
        self._value = value
        self._typed = typed(value if suggestion is None else suggestion)

    def compose(self) -> ComposeResult:
        about = LIVE[self._setting].dialog
        assert about is not None
        strides = " ".join(f"{stride.sign} {stride.description}" for stride in about.strides)
        with Dialog() as dialog:
            dialog.border_title = about.title
            dialog.keys = ("enter changes it", "esc keeps it", strides)
            yield Static(Content(about.question), classes="question")
            yield Input(self._typed, id="value", compact=True)
            yield Static(id="verdict")

    def on_mount(self) -> None:
        self.field.focus()

    def action_stride(self, key: str) -> None:
        self.field.value = strode(self._setting, self.field.value.strip(), key)
        self.field.action_end()

    def on_input_changed(self) -> None:
        self._change()

    def on_input_submitted(self) -> None:
        if (change := self._change()) is not None:
            self.dismiss(None if change.value == self._value else change)

    def _change(self) -> Change | None:
        """Return the change in the field, or None if it is invalid; show it or the error."""
        try:
            change = Change.read(self._setting, self.field.value.strip())
        except TuitrainError as error:
            self.verdict.update(Content.styled(safe(error), "$error"))
            return None
        description = f"{typed(self._value)} → {change.detail}"
        if change.value == self._value:
            description = f"{SETTINGS[self._setting].description}; this is what it is now"
        self.verdict.update(Content.styled(description, "$cell-muted"))
        return change
