"""Errors as notifications, and those that are none."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from textual.css.query import NoMatches
from textual.screen import Screen

from tuitrain.core.errors import TuitrainError
from tuitrain.core.safe import safe

_Of = TypeVar("_Of", bound=Screen[Any])
_Arguments = ParamSpec("_Arguments")
_Method = Callable[Concatenate[_Of, _Arguments], Coroutine[Any, Any, None]]


def until_left(method: _Method[_Of, _Arguments]) -> _Method[_Of, _Arguments]:
    """Let a method of a screen end quietly where the screen is left within one of its awaits.

    Textual takes the widgets away meanwhile, so that they are not found after it.
    """

    @functools.wraps(method)
    async def quiet(screen: _Of, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> None:
        try:
            await method(screen, *args, **kwargs)
        except NoMatches:
            if screen.app.is_running and screen in screen.app.screen_stack:
                raise

    return quiet


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
