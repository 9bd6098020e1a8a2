"""The line of the validations in a loss chart: its points at the height of dots, not of rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tuitrain.view.chart import braille
from tuitrain.view.chart.braille import ACROSS, UP, Cells
from tuitrain.view.chart.drawing import Frame, Mark, signs
from tuitrain.view.picture import Role

LOW, HIGH = "o", "°"
"""A point in the lower and in the upper half of a row, where colours do not distinguish lines."""
SIGNS = f"{LOW} {HIGH}: validation"
LEGEND = f"{SIGNS}; dots: batches and their smoothed line"
"""Of a chart without colours."""
_DOTS_APART = 8
"""Least average dots from one point to the next for points that are drawn larger."""
_POINT = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))

_Dot = tuple[int, int]


def line_of(
    pieces: Sequence[Sequence[_Dot]], frame: Frame, role: Role, *, has_colour: bool
) -> Iterator[Mark]:
    """Yield the marks of a line through the dots of each piece; without colour, of its points."""
    dots = [dot for piece in pieces for dot in piece]
    if not has_colour:
        yield from (Mark(x // ACROSS, y // UP, (LOW, HIGH)[y % UP >= UP // 2], role)
                    for x, y in dots)  # fmt: skip
        return
    cells: Cells = defaultdict(int)
    for piece in pieces:
        for place, bits in (braille.line(piece) if piece else {}).items():
            cells[place] |= bits
    if dots and ACROSS * frame.columns >= _DOTS_APART * len(dots):
        for place, bits in _points(dots, frame).items():
            cells[place] |= bits
    yield from signs(cells, role)


def _points(dots: Sequence[_Dot], frame: Frame) -> Cells:
    """Return the cells of a cross of five dots around each point."""
    cells: Cells = defaultdict(int)
    for x, y in dots:
        for right, up in _POINT:
            column, height = x + right, y + up
            if 0 <= column < ACROSS * frame.columns and 0 <= height < UP * (frame.top + 1):
                for row, bits in braille.upright(column, height, height):
                    cells[column // ACROSS, row] |= bits
    return cells
