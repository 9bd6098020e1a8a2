"""A question for a setting's value, checked while it is typed."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from tuitrain.core.commands import SETTINGS, Change, Setting
from tuitrain.core.errors import TuitrainError

Number = float | int | None


class NumberScreen(ModalScreen[Change | None]):
    """Ask for the new value of a setting; the result is the change, or None for none."""

    BINDINGS = [
        Binding("escape", "dismiss", "Cancel", id="dialog.cancel"),
        Binding("up", "scale(2)", "Twice", id="number.twice", tooltip="Twice as much"),
        Binding("down", "scale(0.5)", "Half", id="number.half", tooltip="Half as much"),
    ]

    def __init__(self, setting: Setting, value: Number, *, says: str = "") -> None:
        super().__init__()
        self._setting = setting
        self._value = value
        self._says = says

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = self._setting
            dialog.border_subtitle = "enter changes it · ↑ twice · ↓ half · esc keeps it"
            now = f"{self._setting} takes {SETTINGS[self._setting].says}; now: {_text(self._value)}"
            yield Static(Content(f"{self._says} {now}".strip()), classes="question")
            yield Input(_text(self._value), id="value", compact=True)
            yield Static(id="error")

    def on_mount(self) -> None:
        self.query_one("#value", Input).focus()

    def action_scale(self, factor: float) -> None:
        field = self.query_one("#value", Input)
        try:
            number = float(field.value) * factor
        except ValueError:
            return
        whole = bool(SETTINGS[self._setting].most)
        field.value = str(max(1, round(number))) if whole else f"{number:.6g}"

    def on_input_changed(self) -> None:
        self._change()

    def on_input_submitted(self) -> None:
        if (change := self._change()) is not None:
            self.dismiss(change)

    def _change(self) -> Change | None:
        error = self.query_one("#error", Static)
        try:
            change = Change.read(self._setting, self.query_one("#value", Input).value.strip())
        except TuitrainError as wrong:
            error.update(Content.styled(str(wrong), "$error"))
            return None
        error.update("")
        return change


def _text(value: Number) -> str:
    return "off" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
