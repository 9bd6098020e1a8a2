"""Text as a terminal shows it: how many cells it fills, cut, padded or wrapped to so many.

Most of what we write is narrow: a cell a character. A name, a path or an error may not be: wcwidth,
whose tables take 20 ms to import, is asked about these alone.
"""

from __future__ import annotations

import re
import textwrap

NARROW = re.compile(
    r"[ -~\xa0-\xac\xae-\u02ff\u2010-\u2027\u2190-\u22ff\u2500-\u25fc\u2800-\u28ff]*"
)
"""Text of which every character surely fills one cell."""


def width_of(text: str) -> int:
    """Return how many cells a line of text fills; its control characters are `safe` already."""
    if NARROW.fullmatch(text):
        return len(text)
    import wcwidth

    return max(0, wcwidth.wcswidth(text))


def cut(text: str, cells: int) -> str:
    """Return text that fills at most so many cells; an ellipsis ends it where it was longer."""
    if NARROW.fullmatch(text):
        return text if len(text) <= cells else text[: max(0, cells - 1)] + "…"[:cells]
    if width_of(text) <= cells:
        return text
    import wcwidth

    # clipping and measuring disagree on a few sequences, such as a virama before digits
    for room in range(cells - 1, -1, -1):
        shown = wcwidth.clip(text, 0, room).rstrip() + "…"
        if width_of(shown) <= cells:
            return shown
    return ""


def padded(text: str, cells: int) -> str:
    """Return text with blanks after it, so that it fills at least so many cells."""
    return text + " " * (cells - width_of(text))


def wrapped(text: str, cells: int) -> list[str]:
    """Return text in lines of at most so many cells, broken between words where that can be."""
    if NARROW.fullmatch(text):
        return textwrap.wrap(text, cells, break_on_hyphens=False)
    import wcwidth

    # wrapping and measuring disagree on a few sequences, such as a virama before digits
    for width in range(cells, 0, -1):
        lines: list[str] = wcwidth.wrap(text, width, break_on_hyphens=False)
        if all(width_of(line) <= cells for line in lines):
            break
    return lines
