"""The first frame: on the terminal before the command line and the app are imported.

Importing them takes most of the time of a start. Standard library only, and little of it.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import termios
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from tuitrain.tui.theme_files import DEFAULT, shipped

ALTERNATE_SCREEN = "\x1b[?1049h"
"""What Textual's driver writes first; a second time it would clear the frame."""
_USUAL_SCREEN = "\x1b[?1049l\x1b[?25h"

_STDIN, _STDOUT, _STDERR = 0, 1, 2
_OPENS_APP = {"attach", "fork", "replay", "resume", "run", "tour", "watch"}
_OPENS_NONE = {"-h", "--help", "--version", "--plain", "--detach"}


class _Terminal:
    """The terminal as it was before the frame; while the frame is shown, keys are not echoed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._attributes: list[Any] = termios.tcgetattr(descriptor)
        quiet = [*self._attributes]
        quiet[3] &= ~termios.ECHO
        termios.tcsetattr(descriptor, termios.TCSANOW, quiet)
        self._handlers = {
            number: signal.signal(number, _leave)
            for number in (signal.SIGTERM, signal.SIGHUP)
            if signal.getsignal(number) == signal.SIG_DFL  # nohup ignores one
        }

    def restore(self) -> None:
        """Echo keys and handle signals as before; keys that were typed can still be read."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        termios.tcsetattr(self._descriptor, termios.TCSANOW, self._attributes)


_before: _Terminal | None = None
"""Not None while the frame is on the terminal."""


def show(arguments: Sequence[str]) -> None:
    """Paint the first frame, if these arguments of the command line open the app.

    While it is shown nothing is collected: what is imported then stays.
    """
    global _before
    if not (opens_app(arguments) and _has_terminal()):
        return
    try:
        _before = _Terminal(_STDIN)
        gc.disable()
        columns, _ = os.get_terminal_size(_STDERR)
        _write(frame(" ".join(arguments), columns, _colours()))
    except (OSError, ValueError, termios.error):  # the app itself says what is wrong
        hide()


def hide() -> None:
    """Show the terminal as it was before the frame: something else is to be printed."""
    if hand_over():
        _write(_USUAL_SCREEN)


def hand_over() -> bool:
    """Give the terminal to the app; return whether the frame, and its screen, are shown."""
    global _before
    before, _before = _before, None
    if before is None:
        return False
    before.restore()
    gc.freeze()  # no later collection needs to look through it, nor makes a key wait for that
    gc.enable()
    return True


def opens_app(arguments: Sequence[str]) -> bool:
    """Return whether the app opens unless the command line has a mistake."""
    words = iter(arguments)
    for word in words:
        if word in _OPENS_NONE:
            return False
        if word == "--home":
            next(words, None)
        elif not word.startswith("-"):
            return word in _OPENS_APP and _OPENS_NONE.isdisjoint(words)
    return True


def frame(words: str, columns: int, colours: Callable[[str, str], str] | None = None) -> str:
    """Return what paints a frame of that size: a header with the words of the command.

    `colours` returns the sequence for a text and a background colour of the theme. Words that are
    not ASCII are left out: how wide they are takes a library to say.
    """
    colours = colours or (lambda _text, _background: "")
    shown = "".join(character if " " <= character <= "~" else "" for character in words)
    header = f" tuitrain  {shown}"[:columns]
    state = "opening … "
    if len(header) + len(state) <= columns:
        header = f"{header:{columns - len(state)}}{state}"
    return "".join([
        ALTERNATE_SCREEN, "\x1b[?25l", colours("foreground", "background"), "\x1b[2J\x1b[H",
        colours("foreground", "panel"), f"{header:{columns}}", "\x1b[m"
    ])  # fmt: skip


def _colours() -> Callable[[str, str], str] | None:
    """Return the default theme's colours; None where the app may not show them as they are."""
    if os.environ.get("COLORTERM") not in ("truecolor", "24bit") or os.environ.get("NO_COLOR"):
        return None
    import tomllib

    theme = tomllib.loads((shipped() / f"{DEFAULT}.toml").read_text())

    def sequence(text: str, background: str) -> str:
        return f"\x1b[38;2;{_rgb(theme[text])};48;2;{_rgb(theme[background])}m"

    return sequence


def _rgb(colour: str) -> str:
    return ";".join(str(part) for part in bytes.fromhex(colour.removeprefix("#")))


def _has_terminal() -> bool:
    """Return whether the app would open with its own driver in this terminal."""
    return (
        os.environ.get("TERM", "") not in ("", "dumb")
        and "TEXTUAL_DRIVER" not in os.environ
        and all(map(os.isatty, (_STDIN, _STDOUT, _STDERR)))
    )


def _write(painted: str) -> None:
    os.write(_STDERR, painted.encode(sys.stderr.encoding, "replace"))


def _leave(number: int, _frame: FrameType | None) -> None:
    """End by the signal as without the frame, with the terminal as it was."""
    hide()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
