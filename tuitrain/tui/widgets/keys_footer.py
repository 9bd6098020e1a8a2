"""The line of keys below a screen."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import Footer

_FIRST = ("help", "leave", "app.exit_now")


class KeysFooter(Footer):
    """Shows the keys that do something now: as many as fit whole, first help and leaving."""

    DEFAULT_CSS = """
    KeysFooter FooterKey.-disabled { display: none; }
    """

    def __init__(self) -> None:
        super().__init__(compact=True, show_command_palette=False)

    def compose(self) -> ComposeResult:
        yield from sorted(super().compose(), key=_place)
        self.call_after_refresh(self._hide_cut_keys)

    def on_resize(self) -> None:
        self._hide_cut_keys()

    def _hide_cut_keys(self) -> None:
        for key in self.children:
            key.visible = key.region.right <= self.region.right


def _place(key: Widget) -> int:
    """Return the place of a key: help, leaving, then the others in their own order."""
    action = getattr(key, "action", "")
    return _FIRST.index(action) if action in _FIRST else len(_FIRST)
