"""A small chart: signs and dots on a plane, in a frame with the ends of both axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tuitrain.view.chart.braille import ACROSS, UP, character, dashed, line
from tuitrain.view.picture import Line, Role, Span, fitted
from tuitrain.view.text.cells import cut, first_fitting, to_the_right, width_of

Grid = dict[tuple[int, int], Span]
"""The signs by (column, row), counted from the lower left."""
_GUTTER = 5
"""Least cells for the numbers beside the y axis."""
FRAME_ROWS = 2
"""Rows below the canvas."""


class Plane(NamedTuple):
    """A canvas in cells, over a range of two quantities."""

    columns: int
    rows: int
    x: tuple[float, float]
    y: tuple[float, float]
    gutter: int = 0
    """Cells of the numbers beside the y axis."""

    @classmethod
    def of(cls, x: tuple[float, float], y: tuple[float, float], width: int, height: int) -> Plane:
        """Return the plane that fits into so many cells with its frame; it may be empty."""
        gutter = max(_GUTTER, *map(len, _numbers((*y, sum(y) / 2), y)))
        return cls(max(0, width - gutter - 2), max(0, height - FRAME_ROWS), x, y, gutter)

    @property
    def is_empty(self) -> bool:
        return self.columns < 8 or self.rows < 2

    def dot(self, x: float, y: float) -> tuple[int, int] | None:
        """Return (column, row) of the dot of a point; None for one that is off the plane."""
        places = _share(x, self.x), _share(y, self.y)
        if not all(0 <= place <= 1 for place in places):  # NaN is off, too
            return None
        across, up = ACROSS * self.columns - 1, UP * self.rows - 1
        return round(places[0] * across), round(places[1] * up)

    def cell(self, x: float, y: float) -> tuple[int, int] | None:
        """Return (column, row) of the cell of a point; None for one that is off the plane."""
        dot = self.dot(x, y)
        return (dot[0] // ACROSS, dot[1] // UP) if dot else None

    def curve(
        self, points: Iterable[tuple[float, float]], role: Role, *, is_dashed: bool = False
    ) -> Grid:
        """Return a line through points, with a gap where one is off the plane."""
        cells_of = dashed if is_dashed else line
        grid: Grid = {}
        for part in self._parts(points):
            grid |= {cell: Span(character(bits), role) for cell, bits in cells_of(part).items()}
        return grid

    def _parts(self, points: Iterable[tuple[float, float]]) -> Iterator[list[tuple[int, int]]]:
        part: list[tuple[int, int]] = []
        for point in points:
            dot = self.dot(*point)
            if dot is not None:
                part.append(dot)
            elif part:
                yield part
                part = []
        if part:
            yield part

    def framed(self, grid: Grid, x_names: Sequence[str], width: int) -> Iterator[Line]:
        """Yield the canvas, its topmost line first, with its axes and their ends.

        The x axis has the first of its names that there is room for.
        """
        top, middle = self.rows - 1, (self.rows - 1) // 2
        heights = {0: 0.0, top: 1.0} | ({middle: middle / top} if top > 3 else {})
        low, high = self.y
        values = [low + height * (high - low) for height in heights.values()]
        labels = dict(zip(heights, _numbers(values, self.y), strict=True))
        for row in range(self.rows - 1, -1, -1):
            label = labels.get(row, "")
            cells = (grid.get((column, row), Span(" ")) for column in range(self.columns))
            head = Span(to_the_right(cut(label, self.gutter), self.gutter) + " ", "muted")
            yield fitted([head, Span("│", "axis"), *cells], width)
        yield fitted([Span(" " * (self.gutter + 1) + "└" + "─" * self.columns, "axis")], width)
        first, last = _numbers(self.x, self.x)
        name = first_fitting([*x_names, ""], self.columns - len(first) - len(last) - 2)
        gap = max(0, self.columns - len(first) - len(last) - width_of(name))
        text = f"{first}{' ' * (gap // 2)}{name}{' ' * (gap - gap // 2)}{last}"
        yield fitted([Span(" " * (self.gutter + 2)), Span(text, "muted")], width)


def _share(value: float, ends: tuple[float, float]) -> float:
    low, high = ends
    return (value - low) / (high - low) if high > low else math.nan


def _numbers(values: Iterable[float], ends: tuple[float, float]) -> list[str]:
    """Return values of an axis with as many decimals as two digits of its range need."""
    span = ends[1] - ends[0]
    if not 1e-7 < span < 1e5:
        largest = max(map(abs, ends))
        digits = 2 + max(0, math.ceil(math.log10(largest / span))) if 0 < span < largest else 2
        return [f"{value:.{min(digits, 6)}g}" for value in values]
    decimals = max(0, 1 - math.floor(math.log10(span)))
    return [f"{round(value, decimals) + 0.0:.{decimals}f}" for value in values]  # no −0
