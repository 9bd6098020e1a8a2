"""Pictures: lines of text spans, each with a role that a theme maps to a colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Literal, NamedTuple

from tuitrain.core.errors import TuitrainError
from tuitrain.core.safe import safe
from tuitrain.view.text.cells import cut, width_of, wrapped

ThemeRole = Literal[
    "text", "muted", "strong", "accent", "good", "warn", "bad",
    "axis", "envelope", "smooth", "validation", "swap", "past", "bar", "trough",
    "series1", "series2", "series3", "series4", "series5", "series6",
]  # fmt: skip


class Image(NamedTuple):
    """Rows of `width` pixels as hexadecimal digits, and the cells in which they are shown."""

    digits: str
    width: int
    columns: int
    rows: int


class Part(NamedTuple):
    """The look of a cell that shows a part of an image."""

    halves: str
    """Two hexadecimal digits: how bright the upper and the lower half of the cell is."""
    image: Image
    column: int
    row: int


Role = ThemeRole | Part
SERIES: tuple[Role, ...] = ("series1", "series2", "series3", "series4", "series5", "series6")
"""Roles of compared runs, which also differ by a sign."""

_LEAST_PROSE = 10
"""Cells of a line of text; it is cut where there are fewer."""
_CHARACTERS_A_CELL = 4
"""Most characters in one cell; further combining characters are cut off."""


class Span(NamedTuple):
    """Text of one role. `fitted` makes it safe for a terminal."""

    text: str
    role: Role = "text"


Line = tuple[Span, ...]
Picture = tuple[Line, ...]


def fitted(spans: Iterable[Span], width: int) -> Line:
    """Return the spans as one line of exactly `width` cells."""
    line: list[Span] = []
    room = width
    for text, role in spans:
        if room <= 0:
            break
        shown = cut(safe(text, limit=_CHARACTERS_A_CELL * room), room)
        line.append(Span(shown, role))
        room -= width_of(shown)
    if room > 0:
        line.append(Span(" " * room, "text"))
    return tuple(line)


def whole(spans: Sequence[Span], width: int) -> Sequence[Span]:
    """Return the first spans that fit into so many cells together without being cut."""
    ends = accumulate(width_of(span.text) for span in spans)
    return spans[: sum(end <= width for end in ends)]


def prose(text: str, width: int, role: Role = "muted") -> Picture:
    """Return a text in as many lines of exactly `width` cells as it needs, each after a space."""
    lines = wrapped(safe(text), max(_LEAST_PROSE, width - 1))
    return tuple(fitted([Span(f" {line}", role)], width) for line in lines)


def filled(lines: Sequence[Line], width: int, height: int) -> Picture:
    """Return the lines as a picture of exactly `height` lines, the rest of them blank."""
    return tuple([*lines, *[fitted([], width)] * height][:height])


def unreadable(error: Exception, width: int, height: int) -> Picture:
    """Return a picture of an error that occurred while data was read."""
    reason = str(error) if isinstance(error, TuitrainError | OSError) else type(error).__name__
    return filled(prose(f"cannot read this: {reason}", width, "bad"), width, height)


def plain(picture: Picture) -> str:
    """Return the picture as plain text, trailing blanks stripped."""
    return "\n".join("".join(span.text for span in line).rstrip() for line in picture)
