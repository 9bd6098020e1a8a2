"""The line of keys below a screen."""

from __future__ import annotations

from collections.abc import Iterable

from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import Footer

from tuitrain.view.text.cells import width_of

_FIRST = ("help", "leave", "app.exit_now")


class KeysFooter(Footer):
    """Shows the keys that do something now: as many as fit whole, first help and leaving."""

    DEFAULT_CSS = """
    KeysFooter FooterKey.-disabled { display: none; }
    """

    def __init__(self) -> None:
        super().__init__(compact=True, show_command_palette=False)

    def compose(self) -> ComposeResult:
        keys = sorted(super().compose(), key=_place)
        self._hide_cut(keys)
        yield from keys

    def on_resize(self) -> None:
        self._hide_cut(self.children)

    def _hide_cut(self, keys: Iterable[Widget]) -> None:
        right = 0
        for key in keys:
            if not key.has_class("-disabled"):
                right += width_of(_text(key))
                key.visible = right <= self.size.width
                right += 1


def _text(key: Widget) -> str:
    return f"{getattr(key, 'key_display', '')} {getattr(key, 'description', '')}"


def _place(key: Widget) -> int:
    """Return the place of a key: help, leaving, then the others in their own order."""
    action = getattr(key, "action", "")
    return _FIRST.index(action) if action in _FIRST else len(_FIRST)
