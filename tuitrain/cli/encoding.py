"""Output where not every character can be written: charts and frames from plain characters."""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata

from tuitrain.core.files import fill_standard_descriptors

_PLAIN = str.maketrans(
    "●★◆✓▲▼×✗▸→←↑↓↘↗…–−·⏎│┃┆─━╸╺═█▌▐▀▄▁▂▃▔▏▕▒░√²σ∞┌┐└┘├┤┬┴┼╭╮╯╰",
    "o*#+^vxx>><^v\\/.--.<|||-====#####__#-||##V2s8+++++++++++++",
)
_NAME = "tuitrain-plain"


def replace_closed_streams() -> None:
    """Let /dev/null stand for each standard stream that was closed: Python has None for it."""
    fill_standard_descriptors()
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))


def speak_plainly() -> None:
    """Let the standard streams write a plain character, of one cell too, for what they cannot.

    Without it, a terminal or locale without UTF-8 gets escapes such as a backslash and a code.
    """
    codecs.register_error(_NAME, _replaced)
    for stream in {sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__}:
        if isinstance(stream, io.TextIOWrapper) and _cannot_write_all(stream.encoding):
            stream.reconfigure(errors=_NAME)


def plain(character: str) -> str:
    """Return a printable ASCII character that looks most like this one."""
    if 0x2800 <= ord(character) <= 0x28FF:
        return " " if character == "\u2800" else "*"
    found = character.translate(_PLAIN)
    if not found.isascii():
        found = unicodedata.normalize("NFKD", character)[:1]
    return found if found.isascii() else "?"


def _replaced(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(plain, error.object[error.start : error.end])), error.end


def _cannot_write_all(encoding: str) -> bool:
    return not codecs.lookup(encoding).name.startswith("utf")
