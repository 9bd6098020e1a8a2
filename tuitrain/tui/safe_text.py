"""Filter the text of all widgets, titles and notifications included, before it is shown."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from tuitrain.core.safe import safe

_LONGEST = 10_000
"""Characters; more than the cells of a line on any terminal."""


class SafeText(LineFilter):
    """Replace characters that a terminal would interpret as control.

    Textual strips only a few of them, and text from a record reaches many kinds of widgets.
    """

    def apply(self, segments: list[Segment], _background: Color) -> list[Segment]:
        """Return the segments with safe text; control segments stay unchanged."""
        return [
            segment
            if segment.control or (segment.text.isascii() and segment.text.isprintable())
            else segment._replace(text=safe(segment.text, limit=_LONGEST))
            for segment in segments
        ]
