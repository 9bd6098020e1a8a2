"""The box of a dialog."""

from __future__ import annotations

from textual.containers import Vertical
from textual.reactive import var

from tuitrain.view.text.cells import whole_parts

_CORNERS = 4
"""Cells of the border that are no part of its text."""


class Dialog(Vertical):
    """A box that names its keys on its lower border: as many as fit whole, the first ones first."""

    DEFAULT_CLASSES = "dialog"

    keys: var[tuple[str, ...]] = var(())

    def watch_keys(self) -> None:
        self._name_keys()

    def on_resize(self) -> None:
        self._name_keys()

    def _name_keys(self) -> None:
        if self.keys:
            self.border_subtitle = whole_parts(self.keys, self.outer_size.width - _CORNERS)
