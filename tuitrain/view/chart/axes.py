"""The axes of a chart: the cells that they take, and their numbers and lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from tuitrain.view.chart import scale, x_axis
from tuitrain.view.chart.drawing import CURSOR, Axes, Drawing, Frame, Ruler, Tick
from tuitrain.view.chart.x_axis import XUnit
from tuitrain.view.picture import Line, Picture, Span

ROWS: dict[Axes, int] = {"none": 0, "thin": 1, "whole": 2}
"""Rows below the canvas."""
GUTTER = 4
"""Least cells for the numbers of the y axis, so that longer numbers do not shift the chart."""
_X_TICK: dict[Axes, int] = {"none": 10, "thin": 7, "whole": 10}
_Y_TICK, _LEAST_Y_TICK = 3, 2
"""Cells from one number to the next: the usual and the least distance."""


class Ruled(NamedTuple):
    """A canvas, its y axis, and the numbers on both axes."""

    frame: Frame
    axis: scale.Axis
    x_ticks: list[Tick]
    y_ticks: list[Tick]


def ruled(
    axis: scale.Axis,
    axes: Axes,
    size: tuple[int, int],
    *,
    header: int,
    ends: tuple[float, float],
    unit: XUnit,
) -> Ruled:
    """Return the canvas and the axes of a chart of size (width, height) from x to x."""
    width, height = size
    rows = height - ROWS[axes]
    axis, numbers = axis.numbered(max(2, (rows - header) // _Y_TICK))
    frame = Frame(width, rows, header, *ends)
    y_ticks = _apart(
        Tick(frame.cell_up(axis.place(value)), label.rjust(GUTTER)) for value, label in numbers
    )
    if axes != "none":
        frame = frame._replace(columns=width - 1 - _gutter(y_ticks))
    labels = x_axis.labels(*ends, unit, max(1, frame.columns // _X_TICK[axes]))
    x_ticks = [Tick(frame.cell(label.x), label.text) for label in labels]
    return Ruled(frame, axis, x_ticks, y_ticks)


def _apart(ticks: Iterable[Tick]) -> list[Tick]:
    """Return every tick, or every second one and so on, so that all are far enough apart."""
    every = list(ticks)
    for stride in range(1, len(every)):
        kept = every[::stride]
        if all(after.cell - tick.cell >= _LEAST_Y_TICK for tick, after in pairwise(kept)):
            return kept
    return every[:1]


def _gutter(y_ticks: Iterable[Tick]) -> int:
    """Return how many cells the numbers of the y axis take."""
    return max((len(label) for _, label in y_ticks), default=GUTTER)


def framed(canvas: Sequence[Line], drawing: Drawing) -> Picture:
    """Return the canvas, its topmost line first, with its axes."""
    if drawing.axes == "none":
        return tuple(canvas)
    gutter = _gutter(drawing.y_ticks)
    labels = {tick.cell: tick.label for tick in drawing.y_ticks}
    rows = range(len(canvas) - 1, -1, -1)
    edges = [f"{labels[row]}┤" if row in labels else "│" for row in rows]
    lines = [
        (Span(edge.rjust(gutter + 1), "axis"), *line)
        for edge, line in zip(edges, canvas, strict=True)
    ]
    below = _thin(drawing) if drawing.axes == "thin" else _integer(drawing)
    return (*lines, *((Span(" " * gutter + text, "axis"),) for text in below))


_CROSSINGS = {"─": "┴", "┬": "┼"}
"""The axis where a ruler meets it."""
_AT_CURSOR = "┻"


def _integer(drawing: Drawing) -> tuple[str, str]:
    columns = drawing.frame.columns
    line = ["─"] * columns
    for tick in drawing.x_ticks:
        line[tick.cell] = "┬"
    _cross(line, drawing.rulers)
    return "└" + "".join(line), " " + "".join(_labelled([" "] * columns, drawing.x_ticks))


def _thin(drawing: Drawing) -> tuple[str]:
    line = ["─"] * drawing.frame.columns
    _cross(line, drawing.rulers)
    return ("└" + "".join(_labelled(line, drawing.x_ticks)),)


def _cross(line: list[str], rulers: Iterable[Ruler]) -> None:
    for column, role in rulers:
        line[column] = _AT_CURSOR if role == CURSOR else _CROSSINGS.get(line[column], line[column])


def _labelled(cells: list[str], ticks: Iterable[Tick]) -> list[str]:
    """Write each label centred on its tick, if it does not overlap the previous label."""
    free = 0
    for cell, label in ticks:
        start = max(0, min(cell - len(label) // 2, len(cells) - len(label)))
        if start >= free:
            cells[start : start + len(label)] = label
            free = start + len(label) + 1
    return cells
