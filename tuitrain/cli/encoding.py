"""Output to streams that cannot encode every character: replace these by ASCII."""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata

from tuitrain.core.files import fill_standard_descriptors

_PLAIN = str.maketrans(
    "●★◆✓▲▼×✗▸→←↑↓↘↗…–−·⏎│┃┆─━╸╺═█▌▐▀▄▁▂▃▅▆▇▔▏▕▒░√²σ∞┌┐└┘├┤┬┴┼╭╮╯╰",
    "o*#+^vxx>><^v\\/.--.<|||-====#####__####-||##V2s8+++++++++++++",
)
_NAME = "tuitrain-plain"


def replace_closed_streams() -> None:
    """Replace each closed standard stream, which is None in Python, by /dev/null."""
    fill_standard_descriptors()
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))


def speak_plainly() -> None:
    """Let the standard streams write one ASCII character for each that they cannot encode.

    Otherwise, a terminal or locale without UTF-8 would get backslash escapes.
    """
    codecs.register_error(_NAME, _replaced)
    for stream in {sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__}:
        if isinstance(stream, io.TextIOWrapper) and _cannot_write_all(stream.encoding):
            stream.reconfigure(errors=_NAME)


def plain(character: str) -> str:
    """Return the printable ASCII character that resembles this one most."""
    if 0x2800 <= ord(character) <= 0x28FF:
        return " " if character == "\u2800" else "*"
    replacement = character.translate(_PLAIN)
    if not replacement.isascii():
        replacement = unicodedata.normalize("NFKD", character)[:1]
    return replacement if replacement.isascii() else "?"


def _replaced(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(plain, error.object[error.start : error.end])), error.end


def _cannot_write_all(encoding: str) -> bool:
    return not codecs.lookup(encoding).name.startswith("utf")
