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

    def __init__(self, *, is_held: bool = False) -> None:
        """`is_held` leaves it empty until `release`: to style a line of keys takes long."""
        super().__init__(compact=True, show_command_palette=False)
        self._is_held = is_held
        self._shown: list[object] = []

    def release(self) -> None:
        """Show the keys from now on."""
        self._is_held = False
        self.screen.refresh_bindings()

    def compose(self) -> ComposeResult:
        keys = sorted(super().compose(), key=_place)
        for key in keys:
            key.add_class("-compact", update=False)  # else Textual adds it, and styles twice
        self._hide_cut(keys)
        yield from keys

    async def recompose(self) -> None:
        """Show other keys; the same ones stay."""
        if self._is_held or not self.is_attached:  # its screen may have been left meanwhile
            return
        keys = [
            (binding, enabled, tooltip)
            for _, binding, enabled, tooltip in self.screen.active_bindings.values()
            if binding.show
        ]
        if keys != self._shown:
            self._shown = [*keys]
            await super().recompose()

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
