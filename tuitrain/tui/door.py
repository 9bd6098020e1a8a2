"""The filter before the terminal: all text of all widgets passes it, titles and messages too."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from tuitrain.core.safe import safe

_LONGEST = 10_000
"""Cells of a line, which no terminal has."""


class Door(LineFilter):
    """Let through no character that a terminal would obey.

    Textual strips a few controls only, and text from a record reaches many kinds of widgets.
    """

    def apply(self, segments: list[Segment], _background: Color) -> list[Segment]:
        """Return the segments with their text made safe; those of control stay as they are."""
        return [
            segment
            if segment.control or (segment.text.isascii() and segment.text.isprintable())
            else segment._replace(text=safe(segment.text, limit=_LONGEST))
            for segment in segments
        ]
