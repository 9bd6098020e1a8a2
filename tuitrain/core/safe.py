"""Sanitise untrusted text: names, paths, reasons, errors, printed lines."""

from __future__ import annotations

import re
import unicodedata

_LONGEST = 500
_ZWNJ, _ZWJ = "\u200c", "\u200d"
_VIRAMA = 9
"""The combining class of the virama, which joins consonants in Indic scripts."""
_SELECTORS = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def safe(text: object, *, limit: int = _LONGEST) -> str:
    """Return one line of at most `limit` characters, without control or misleading characters.

    C0 controls become their Unicode pictures, so that a reader sees that they were there.
    C1 controls, bidirectional and zero-width characters and lone surrogates become U+FFFD. Joiners
    and variation selectors stay where a script or an emoji needs them.
    """
    line = str(text)
    if len(line) > limit:
        line = line[: limit - 1] + "…"
    # every character that `_shown` may replace is unprintable for Python, or a selector
    if line.isprintable() and (line.isascii() or not _SELECTORS.search(line)):
        return line
    return "".join(_shown(line, at) for at in range(len(line)))


def _shown(line: str, at: int) -> str:
    character = line[at]
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if character in (_ZWNJ, _ZWJ):
        return character if _joins(line, at) else "\ufffd"
    if _SELECTORS.match(character):
        return character if _selects(line, at) else "\ufffd"
    # Cc: C1 controls; Cf: bidirectional, zero-width; Cs: surrogates; Zl, Zp: line separators
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return "\ufffd"
    return character


def _joins(line: str, at: int) -> bool:
    """Return whether the joiner at `at` is where its script uses one.

    Indic scripts use it after a virama, Arabic scripts between two letters, and emoji between two
    pictures.
    """
    before, after = line[at - 1 : at], line[at + 1 : at + 2]
    if not before:
        return False
    if unicodedata.combining(before) == _VIRAMA:
        return True
    if not after:
        return False
    if _is_arabic(line, at) and unicodedata.bidirectional(after) == "AL":
        return True
    return line[at] == _ZWJ and _ends_picture(before) and unicodedata.category(after) == "So"


def _is_arabic(line: str, at: int) -> bool:
    """Return whether an Arabic letter, with its vowel signs if any, precedes `at`."""
    while at > 0 and unicodedata.bidirectional(line[at - 1]) == "NSM":
        at -= 1
        if _SELECTORS.match(line[at]):
            return False
    return at > 0 and unicodedata.bidirectional(line[at - 1]) == "AL"


def _ends_picture(character: str) -> bool:
    return (
        unicodedata.category(character) == "So"
        or character == "\ufe0f"  # `_selects` keeps it only after a picture
        or "\U0001f3fb" <= character <= "\U0001f3ff"  # skin tones
    )


def _selects(line: str, at: int) -> bool:
    """Return whether the selector at `at` follows a character that can have variants."""
    before = line[at - 1 : at]
    if line[at] == "\ufe0f" and (before.isdigit() or before in ("#", "*")):
        return line[at + 1 : at + 2] == "\u20e3"  # a keycap
    return unicodedata.category(before or " ") in ("So", "Sm", "Po", "Lo") and not before.isascii()
