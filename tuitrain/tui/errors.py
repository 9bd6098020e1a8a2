"""Errors as notifications."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.screen import Screen

from tuitrain.core.errors import TuitrainError
from tuitrain.core.safe import safe


def attempt(screen: Screen[Any], what: str, do: Callable[[], object]) -> None:
    """Call `do`; show an error as "cannot `what`"."""
    try:
        do()
    except (TuitrainError, OSError, ValueError) as error:
        show_error(screen, f"cannot {what}: {safe(error)}")


def show_error(screen: Screen[Any], message: str) -> None:
    """Show an error as a notification."""
    screen.notify(message, severity="error", markup=False)


class Complaint:
    """An error that lasts; it is shown again only when it changes."""

    def __init__(self, screen: Screen[Any]) -> None:
        self._screen = screen
        self._message = ""

    def show(self, message: str) -> None:
        """Show the error, unless it was the last one shown."""
        if message != self._message:
            self._message = message
            show_error(self._screen, message)

    def clear(self) -> None:
        """Forget the error: the same one would be shown again."""
        self._message = ""
