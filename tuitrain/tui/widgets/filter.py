"""An input that filters what a screen shows."""

from __future__ import annotations

from textual.widgets import Input


class Filter(Input):
    """An input that is hidden while it is empty and without focus."""

    DEFAULT_CSS = """
    Filter { height: 1; }
    """

    def __init__(self, placeholder: str = "") -> None:
        super().__init__(placeholder=placeholder, compact=True)

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
