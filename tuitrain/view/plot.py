"""The loss chart as cells. Nothing else of this program knows plotext, which paints it."""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import get_args

from tuitrain.view.drawing import ACROSS, UP, ChartOptions, Drawing, Frame, Mark, Segment
from tuitrain.view.layout import canvas_columns, laid_out
from tuitrain.view.picture import Line, Picture, Piece, Role

__all__ = ["ChartOptions", "Segment", "canvas_columns", "draw_losses"]

_FIGURE = threading.Lock()
"""plotext has one figure for the whole process."""

_ROLES: tuple[Role, ...] = get_args(Role)
_FIRST_COLOR = 16
"""plotext takes 256 colors: a role travels through it as one of them."""
_SGR = re.compile(r"\x1b\[(?:38;5;(\d+)|0)m")


def draw_losses(
    segments: Sequence[Segment], *, width: int, height: int, options: ChartOptions
) -> Picture:
    """Return the chart of a run, `height` lines of `width` cells, whatever the losses are.

    Segments are given oldest first and never joined. The y axis belongs to the loss of the newest
    one; segments of other losses, whose values cannot be compared, fill the height by their own
    range. Any thread may call it.
    """
    if width < 2 or height < 2:
        return ((Piece(" " * width),) if width > 0 else (),) * max(0, height)
    drawing = laid_out(segments, width=width, height=height, options=options)
    with _FIGURE:
        coloured = _painted(drawing, width, height)
    return tuple(_line(row) for row in coloured.splitlines())


def _painted(drawing: Drawing, width: int, height: int) -> str:
    """Return the drawing as plotext's rows of text with terminal colors."""
    import plotext as plt  # 55 ms that only a chart needs

    frame = drawing.frame
    plt.clear_figure()
    plt.limit_size(False, False)
    plt.plotsize(width, height)
    plt.theme("clear")
    plt.xlim(0, ACROSS * frame.columns - 1)
    plt.ylim(0, UP * frame.rows - 1)
    _paint_axes(plt, drawing)
    _paint_signs(plt, drawing.bands, frame)
    for stroke in drawing.curves:
        plt.plot(stroke.xs, stroke.ys, marker="braille", color=_color(stroke.role))
    _paint_signs(plt, [mark for mark in drawing.marks if len(mark.text) == 1], frame)
    for mark in drawing.marks:
        if len(mark.text) > 1:
            at = _x(frame, mark.column), _y(frame, mark.row)
            plt.text(mark.text, *at, color=_color(mark.role), alignment="left")
    return str(plt.build())


def _paint_axes(plt: ModuleType, drawing: Drawing) -> None:
    frame = drawing.frame
    plt.xaxes(drawing.has_axes, False)
    plt.yaxes(drawing.has_axes, False)
    plt.ticks_color(_color("axis"))
    plt.scatter([], [])  # without a signal plotext has no axis to put ticks on
    x_ticks, y_ticks = (drawing.x_ticks, drawing.y_ticks) if drawing.has_axes else ([], [])
    plt.xticks([_x(frame, tick.cell) for tick in x_ticks], [tick.label for tick in x_ticks])
    plt.yticks([_y(frame, tick.cell) for tick in y_ticks], [tick.label for tick in y_ticks])
    for column in drawing.rulers:
        plt.vline(_x(frame, column), color=_color("swap"))


def _paint_signs(plt: ModuleType, marks: Iterable[Mark], frame: Frame) -> None:
    """Paint marks of one sign, those of a role at once. No two of them share a cell."""
    by_role: dict[Role, list[Mark]] = defaultdict(list)
    for mark in marks:
        by_role[mark.role].append(mark)
    for role, several in by_role.items():
        xs = [_x(frame, mark.column) for mark in several]
        ys = [_y(frame, mark.row) for mark in several]
        plt.scatter(xs, ys, marker=[mark.text for mark in several], color=_color(role))


def _x(frame: Frame, column: int) -> float:
    """Return where, counted in dots, plotext finds this column of cells."""
    return column * (ACROSS * frame.columns - 1) / (frame.columns - 1)


def _y(frame: Frame, row: int) -> float:
    return row * (UP * frame.rows - 1) / (frame.rows - 1)


def _color(role: Role) -> int:
    return _FIRST_COLOR + _ROLES.index(role)


def _line(row: str) -> Line:
    """Return a row of text with terminal colors as pieces with roles."""
    first, *rest = _SGR.split(row)
    pieces = [Piece(first)]
    for color, text in zip(rest[::2], rest[1::2], strict=True):
        role = _ROLES[int(color) - _FIRST_COLOR] if color else "text"
        pieces.append(Piece(text, role))
    return tuple(piece for piece in pieces if piece.text)
