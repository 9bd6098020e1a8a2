"""A question whose answer is typed, and judged while it is."""

from __future__ import annotations

from collections.abc import Callable

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from tuitrain.core.errors import WrongUse
from tuitrain.core.safe import safe

Judge = Callable[[str], str]
"""Returns what a text would do; raises WrongUse for one that will not do."""
Stride = Callable[[str, str], str]
"""From the text in the field and a key to the text after it."""


class AskScreen(ModalScreen[str | None]):
    """Ask for a text; the result is one that was judged good, or None for none."""

    BINDINGS = [
        Binding("escape", "dismiss", "Cancel", id="dialog.cancel"),
        Binding("up", "stride('up')", "More", id="dialog.more"),
        Binding("down", "stride('down')", "Less", id="dialog.less"),
        Binding("pageup", "stride('pageup')", "Much more", id="dialog.much_more"),
        Binding("pagedown", "stride('pagedown')", "Much less", id="dialog.much_less"),
    ]

    field = getters.query_one(Input)

    def __init__(
        self, title: str, question: str, text: str, *,
        judge: Judge, stride: Stride | None = None, keys: str = "",
    ) -> None:  # fmt: skip
        super().__init__()
        self._title, self._question, self._text = title, question, text
        self._judge = judge
        self._stride = stride
        self._keys = keys
        self._is_good = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = self._title
            dialog.border_subtitle = " · ".join(
                part for part in (self._keys, "enter", "esc") if part
            )
            yield Label(Content(self._question))
            yield Input(self._text, compact=True)
            yield Static(id="verdict")

    def on_input_changed(self, event: Input.Changed) -> None:
        try:
            verdict = Content.styled(self._judge(event.value.strip()), "$cell-muted")
        except WrongUse as error:
            verdict = Content.styled(safe(error), "$error")
            self._is_good = False
        else:
            self._is_good = True
        self.query_one("#verdict", Static).update(verdict)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if self._is_good:
            self.dismiss(event.value.strip())

    def action_stride(self, key: str) -> None:
        if self._stride is not None:
            self.field.value = self._stride(self.field.value.strip(), key)
            self.field.action_end()
