"""An input that filters what a screen shows."""

from __future__ import annotations

from textual.binding import Binding
from textual.widgets import Input


class Filter(Input):
    """An input that is hidden while it is empty and without focus.

    It is left by Input.Submitted: with its text kept, or cleared.
    """

    DEFAULT_CSS = """
    Filter { height: 1; }
    """
    BINDINGS = [
        Binding("enter", "submit", "Keep", tooltip="Keep what is typed, and go back"),
        Binding("escape", "clear_and_leave", "Clear", key_display="esc", tooltip="Show all again"),
    ]

    def __init__(self, placeholder: str = "") -> None:
        super().__init__(placeholder=placeholder, compact=True)

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Return whether the key is typed; of the slash Textual does not know the character."""
        return key == "slash" or super().check_consume_key(key, character)

    def on_mount(self) -> None:
        self.display = False

    def on_input_submitted(self) -> None:
        self.display = bool(self.value)

    def open(self) -> None:
        """Show the input and focus it."""
        self.display = True
        self.focus()

    def reset(self) -> None:
        """Empty and hide the input."""
        self.value = ""
        self.display = False

    async def action_clear_and_leave(self) -> None:
        self.value = ""
        await self.action_submit()
