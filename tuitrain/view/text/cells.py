"""Measure, cut, pad and wrap text in cells of a terminal.

Most text is narrow: one cell per character. Names, paths and errors may not be; only for these is
wcwidth imported, whose tables take 20 ms.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

NARROW = re.compile(
    r"[ -~\xa0-\xac\xae-\u02ff\u2010-\u2027\u2190-\u22ff\u2500-\u25fc\u2800-\u28ff]*"
)
"""Matches text whose every character fills one cell on all terminals."""

_LEAST_INSIDE = 8
"""Cells in which a text is still cut inside."""
_EIGHTHS = ("", *"▏▎▍▌▋▊▉")


def width_of(text: str) -> int:
    """Return how many cells a line of `safe` text fills."""
    if NARROW.fullmatch(text):
        return len(text)
    import wcwidth

    return max(0, wcwidth.wcswidth(text))


def cut(text: str, cells: int) -> str:
    """Return the text, cut with an ellipsis to at most `cells` cells."""
    if NARROW.fullmatch(text):
        return text if len(text) <= cells else text[: max(0, cells - 1)] + "…"[:cells]
    if width_of(text) <= cells:
        return text
    import wcwidth

    for room in range(cells - 1, 0, -1):  # a sign may be wider without what followed it
        shown: str = wcwidth.clip(text, 0, room).rstrip() + "…"
        if width_of(shown) <= cells:
            return shown
    return "…"[:cells]


def cut_inside(text: str, cells: int) -> str:
    """Return the text, cut to at most `cells` cells; names mostly differ at their ends.

    A narrow text keeps its beginning and its end, others only their beginning.
    """
    if len(text) <= cells or not NARROW.fullmatch(text) or cells < _LEAST_INSIDE:
        return cut(text, cells)
    end = (cells - 1) // 2
    return f"{text[: cells - 1 - end]}…{text[-end:]}"


def first_fitting(texts: Sequence[str], cells: int) -> str:
    """Return the first text that fits into so many cells; the last one if none does."""
    return next((text for text in texts if width_of(text) <= cells), texts[-1])


def whole_parts(parts: Sequence[str], cells: int) -> str:
    """Return as many parts as fit whole, with dots between them; the first one may be cut."""
    counts = range(len(parts), 0, -1)
    return cut(first_fitting([" · ".join(parts[:count]) for count in counts], cells), cells)


def bar(share: float, cells: int) -> str:
    """Return a bar that fills that share of so many cells, to an eighth, and blanks after it."""
    full, eighths = divmod(round(min(1.0, max(0.0, share)) * cells * 8), 8)
    return padded("█" * full + _EIGHTHS[eighths], cells)


def padded(text: str, cells: int) -> str:
    """Return the text, padded with blanks to at least `cells` cells."""
    return text + " " * (cells - width_of(text))


def to_the_right(text: str, cells: int) -> str:
    """Return the text after blanks that make it at least `cells` cells."""
    return " " * (cells - width_of(text)) + text


def wrapped(text: str, cells: int) -> list[str]:
    """Return the text in lines of at most `cells` cells, broken between words if possible."""
    if NARROW.fullmatch(text):
        return textwrap.wrap(text, cells, break_on_hyphens=False)
    import wcwidth

    # wrapping and measuring disagree on a few sequences, such as a virama before digits
    for width in range(cells, 0, -1):
        lines: list[str] = wcwidth.wrap(text, width, break_on_hyphens=False)
        if all(width_of(line) <= cells for line in lines):
            break
    return lines
