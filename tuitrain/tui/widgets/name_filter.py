"""The input that filters the runs by a part of their name."""

from __future__ import annotations

from textual.widgets import Input


class NameFilter(Input):
    """An input that is hidden while it is empty and without focus."""

    def __init__(self) -> None:
        super().__init__(placeholder="part of a name", compact=True)

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
