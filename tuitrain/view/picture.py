"""Cells without a screen: text in lines, each piece with the role that a theme gives a colour."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

Role = Literal[
    "text", "muted", "strong", "accent", "good", "warn", "bad",
    "axis", "envelope", "smooth", "validation", "swap", "past", "bar", "trough",
    "series1", "series2", "series3", "series4", "series5", "series6",
]  # fmt: skip
SERIES: tuple[Role, ...] = ("series1", "series2", "series3", "series4", "series5", "series6")
"""For things of one kind beside each other, which never differ by colour alone."""


class Piece(NamedTuple):
    """Text of one role; it holds no control characters and no line ends."""

    text: str
    role: Role = "text"


Line = tuple[Piece, ...]
Picture = tuple[Line, ...]


def fitted(pieces: Iterable[Piece], width: int) -> Line:
    """Return the pieces as one line of exactly `width` cells."""
    line: list[Piece] = []
    left = width
    for text, role in pieces:
        if left <= 0:
            break
        cut = text if len(text) <= left else text[: left - 1] + "…"
        line.append(Piece(cut, role))
        left -= len(cut)
    if left > 0:
        line.append(Piece(" " * left, "text"))
    return tuple(line)


def plain(picture: Picture) -> str:
    """Return the picture without its roles, a line each, ends stripped."""
    return "\n".join("".join(piece.text for piece in line).rstrip() for line in picture)
