"""The box of a dialog."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import Any

from textual.containers import Vertical
from textual.content import Content
from textual.reactive import var
from textual.screen import ModalScreen, Screen

from tuitrain.view.text.cells import whole_parts

_CORNERS = 4
"""Cells of the border that are no part of its text."""


class Dialog(Vertical):
    """A box with its news and keys on its lower border: as many as fit whole, the first ones first.

    Behind it nothing is drawn, so it tells what becomes of the run.
    """

    DEFAULT_CLASSES = "dialog"

    keys: var[tuple[str, ...]] = var(())
    news: var[str] = var("")
    """What became of the run since the dialog was opened."""

    def watch_keys(self) -> None:
        self._fill_border()

    def watch_news(self) -> None:
        self._fill_border()

    def on_resize(self) -> None:
        self._fill_border()

    def _fill_border(self) -> None:
        cells = self.outer_size.width - _CORNERS
        if not self.news:
            self.border_subtitle = whole_parts(self.keys, cells) if self.keys else ""
            return
        shown = whole_parts((self.news, *self.keys), cells)
        news, keys = shown[: len(self.news)], shown[len(self.news) :]
        self.border_subtitle = Content.assemble((news, "bold $warning"), keys)


def dialogs_over(screen: Screen[Any]) -> Iterator[Dialog]:
    """Yield the dialogs that are open over a screen."""
    stack = screen.app.screen_stack
    above = stack[stack.index(screen) + 1 :] if screen in stack else ()
    for dialog in takewhile(lambda other: isinstance(other, ModalScreen), above):
        yield from dialog.query(Dialog)
