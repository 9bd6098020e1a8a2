"""A panel of cells that repaints only what changed: few bytes over a slow link, no flicker."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import get_args

from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tuitrain.view.picture import Line, Picture, Piece, Role

_WORTH_A_JUMP = 6
"""Cells: repainting so many unchanged ones costs as much as moving the cursor past them."""


class Slice(Widget):
    """An upright slice of a panel.

    Textual repaints a line of a widget from the widget's left edge on, however far to the right
    the change is, and a chart grows at its right: narrow widgets make that few cells.
    """

    DEFAULT_CSS = """
    Slice { width: 1fr; height: 100%; }
    """

    def render_line(self, y: int) -> Strip:
        """Return the slice's part of the panel's line."""
        panel = self.parent
        assert isinstance(panel, Cells)
        left = self.virtual_region.x
        return panel.strip(y).crop(left, left + self.size.width)


class Cells(Widget):
    """Show a picture. Subclasses draw it; `show` is the only way in."""

    SLICES = 1
    ROLES: tuple[Role, ...] = get_args(Role)
    COMPONENT_CLASSES = {f"cells--{role}" for role in ROLES}
    DEFAULT_CSS = """
    Cells {
        layout: horizontal;
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
        self._slices: list[Slice] = []

    def compose(self) -> ComposeResult:
        yield from (Slice() for _ in range(self.SLICES))

    def on_mount(self) -> None:
        self._slices = list(self.query_children(Slice))

    def show(self, picture: Picture) -> None:
        """Show the picture from now on, repainting the cells that differ from the last one."""
        before, self._picture = self._picture, picture
        for y, (old, new) in enumerate(zip_longest(before, picture, fillvalue=())):
            if old != new:
                self._strips.pop(y, None)
                for first, last in changed_spans(old, new):
                    self._repaint(Region(first, y, last - first + 1, 1))

    def entitle(self, title: str) -> None:
        """Put a title on the border; an unchanged one costs no repaint."""
        if title != self._title:
            self.border_title = self._title = title

    def strip(self, y: int) -> Strip:
        """Return a line of the last picture; nothing is computed here but its colours."""
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

    def _repaint(self, region: Region) -> None:
        for part in self._slices:
            there = part.virtual_region
            if touched := region.intersection(there):
                part.refresh(touched.translate((-there.x, -there.y)))

    def _style(self, role: Role) -> Style:
        return self.get_component_rich_style(f"cells--{role}")


def joined(line: Line) -> Line:
    """Return the line in as few pieces as look the same: blank cells take the role before them."""
    pieces: list[Piece] = []
    for piece in line:
        if pieces and (piece.role == pieces[-1].role or not piece.text.strip(" ")):
            pieces[-1] = Piece(pieces[-1].text + piece.text, pieces[-1].role)
        else:
            pieces.append(piece)
    return tuple(pieces)


def _cells(line: Line) -> list[tuple[str, Role | None]]:
    return [(cell, None if cell == " " else role) for text, role in line for cell in text]


def changed_spans(old: Line, new: Line) -> Iterator[tuple[int, int]]:
    """Yield (first, last) cell of each stretch that differs; near ones are one."""
    pairs = zip_longest(_cells(old), _cells(new))
    differing = [x for x, (before, after) in enumerate(pairs) if before != after]
    if not differing:
        return
    first = last = differing[0]
    for x in differing[1:]:
        if x - last > _WORTH_A_JUMP:
            yield first, last
            first = x
        last = x
    yield first, last
