"""A panel of cells that repaints only the lines that changed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import zip_longest
from typing import get_args

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tuitrain.core.safe import safe
from tuitrain.view.picture import Line, Picture, Role, Span, ThemeRole, unreadable


class Cells(Widget):
    """Show a picture. Subclasses draw it and pass it to `show`."""

    ROLES: tuple[Role, ...] = get_args(ThemeRole)
    COMPONENT_CLASSES = {f"cells--{role}" for role in ROLES}
    DEFAULT_CSS = """
    Cells {
        & > .cells--text { color: $foreground; }
        & > .cells--strong { color: $foreground; text-style: bold; }
        & > .cells--muted { color: $cell-muted; }
        & > .cells--accent { color: $accent; }
        & > .cells--good { color: $success; }
        & > .cells--warn { color: $warning; }
        & > .cells--bad { color: $error; }
        & > .cells--axis { color: $cell-axis; }
        & > .cells--envelope { color: $cell-envelope; }
        & > .cells--smooth { color: $cell-smooth; }
        & > .cells--validation { color: $cell-validation; }
        & > .cells--swap { color: $cell-swap; }
        & > .cells--past { color: $cell-past; }
        & > .cells--bar { color: $cell-bar; }
        & > .cells--trough { color: $cell-trough; }
        & > .cells--series1 { color: $cell-series1; }
        & > .cells--series2 { color: $cell-series2; }
        & > .cells--series3 { color: $cell-series3; }
        & > .cells--series4 { color: $cell-series4; }
        & > .cells--series5 { color: $cell-series5; }
        & > .cells--series6 { color: $cell-series6; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._picture: Picture = ()
        self._strips: dict[int, Strip] = {}
        self._title = ""

    def show(self, picture: Picture) -> None:
        """Replace the picture, and repaint the lines that differ."""
        before, self._picture = self._picture, picture
        for y, (old, new) in enumerate(zip_longest(before, picture, fillvalue=())):
            if old != new:
                self._strips.pop(y, None)
                self.refresh(Region(0, y, self.size.width, 1))

    def attempt(self, draw: Callable[[], Picture]) -> None:
        """Show the picture that `draw` returns; if it raises an error, show the error."""
        try:
            self.show(draw())
        except Exception as error:  # noqa: BLE001 - an unreadable record must not end the app
            self.show(unreadable(error, *self.size))

    def entitle(self, title: str) -> None:
        """Set the title on the border; an unchanged title causes no repaint."""
        if title != self._title:
            self._title = title
            self.border_title = Content(safe(title))  # no markup

    def render_line(self, y: int) -> Strip:
        """Return a line of the last picture; only its colours are computed here."""
        if y not in self._strips:
            line = self._picture[y] if y < len(self._picture) else ()
            strip = Strip([Segment(text, self._style(role)) for text, role in joined(line)])
            self._strips[y] = strip.adjust_cell_length(self.size.width, self._style("text"))
        return self._strips[y]

    def on_resize(self) -> None:
        self._strips.clear()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.clear()

    def _style(self, role: Role) -> Style:
        if role not in self.ROLES:
            upper, lower = (_GREYS[int(half, 16)] for half in role)
            return Style.from_color(upper, lower)
        return self.get_component_rich_style(f"cells--{role}")


_GREYS = [Color.from_ansi(232 + round(brightness * 23 / 15)) for brightness in range(16)]
"""The 24 greys of a palette of 256 colours, for 16 digits."""


def joined(line: Line) -> Line:
    """Return the line with equal neighbours joined; blank cells take the role before them."""
    spans: list[Span] = []
    for span in line:
        is_blank = not span.text.strip(" ") and spans and spans[-1].role in Cells.ROLES
        if spans and (span.role == spans[-1].role or is_blank):
            spans[-1] = Span(spans[-1].text + span.text, spans[-1].role)
        else:
            spans.append(span)
    return tuple(spans)
