"""Draw the user's attention: the bell, and a note on the desktop."""

from __future__ import annotations

from collections.abc import Mapping

from textual.message import Message

from tuitrain.core.safe import safe

_OSC_9 = ("iTerm.app", "iTerm2", "WezTerm", "ghostty", "xterm-kitty", "xterm-ghostty", "wezterm")
_OSC_777 = ("foot", "foot-extra", "rxvt-unicode", "rxvt-unicode-256color")
"""Values of variables in terminals that show such notes, also behind SSH: TERM is sent."""


class Alert(Message):
    """There is news of a run."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__()


def desktop_note(text: str, environment: Mapping[str, str]) -> str:
    """Return the sequence for a note on the desktop; "" for a terminal that may not show it."""
    names = {environment.get(name, "") for name in ("TERM", "TERM_PROGRAM", "LC_TERMINAL")}
    if "TMUX" in environment or "STY" in environment:
        return ""  # they would keep it to themselves; the bell reaches their user
    if names.intersection(_OSC_777):
        return f"\x1b]777;notify;tuitrain;{safe(text)}\x07"
    return f"\x1b]9;{safe(text)}\x07" if names.intersection(_OSC_9) else ""
