"""Draw charts as cells with plotext; no other module imports it."""

from __future__ import annotations

import re
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import get_args

from tuitrain.view.chart.axes import framed
from tuitrain.view.chart.braille import ACROSS, UP
from tuitrain.view.chart.curve_chart import curves_laid_out
from tuitrain.view.chart.drawing import ChartOptions, Curve, Drawing, Frame, Mark, Segment
from tuitrain.view.chart.loss_chart import canvas_columns, laid_out
from tuitrain.view.picture import Line, Picture, Role, Span, ThemeRole

__all__ = [
    "ChartOptions", "Curve", "Segment", "blank", "canvas_columns", "draw_curves", "draw_losses",
    "picture_of",
]  # fmt: skip

_FIGURE = threading.Lock()
"""plotext has one figure per process."""

_ROLES: tuple[Role, ...] = get_args(ThemeRole)
_FIRST_COLOR = 16
"""plotext accepts 256 colors; one of them stands for each role."""
_SGR = re.compile(r"\x1b\[(?:38;5;(\d+)|0)m")


def draw_losses(
    segments: Sequence[Segment], *, width: int, height: int, options: ChartOptions
) -> Picture:
    """Return the chart of any losses of a run, as `height` lines of `width` cells.

    Segments are given oldest first; no line joins them. The y axis belongs to the loss of the
    newest one; segments of other losses, whose values are not comparable, are scaled to the full
    height. Abandoned segments are drawn behind. Thread-safe.
    """
    if width < 2 or height < 2:
        return blank(width, height)
    return picture_of(laid_out(segments, width=width, height=height, options=options))


def draw_curves(
    curves: Sequence[Curve],
    *,
    width: int,
    height: int,
    options: ChartOptions,
    rulers: Sequence[float] = (),
) -> Picture:
    """Return a chart of comparable values on one axis, as `height` lines of `width` cells.

    `rulers` are steps at which the loss was swapped. Thread-safe.
    """
    if width < 2 or height < 2:
        return blank(width, height)
    return picture_of(
        curves_laid_out(curves, width=width, height=height, options=options, rulers=rulers)
    )


def blank(width: int, height: int) -> Picture:
    """Return a picture without a chart, for a size that has no room for one."""
    return ((Span(" " * width),) if width > 0 else (),) * max(0, height)


def picture_of(drawing: Drawing) -> Picture:
    """Return the cells of a drawing. Thread-safe."""
    with _FIGURE:
        coloured = _painted(drawing)
    return framed([_line(row) for row in coloured.splitlines()], drawing)


def _painted(drawing: Drawing) -> str:
    """Return the drawing's canvas as plotext's rows of text with terminal colors."""
    import plotext as plt  # takes 55 ms, and only charts need it

    frame = drawing.frame
    plt.clear_figure()
    plt.limit_size(False, False)
    plt.plotsize(frame.columns, frame.rows)
    plt.theme("clear")
    plt.xlim(0, ACROSS * frame.columns - 1)
    plt.ylim(0, UP * frame.rows - 1)
    plt.xaxes(False, False)
    plt.yaxes(False, False)
    plt.xticks([], [])
    plt.yticks([], [])
    plt.scatter([], [])  # without a signal plotext draws nothing at all
    for column, role in drawing.rulers:
        plt.vline(_x(frame, column), color=_color(role))
    _paint_signs(plt, drawing.signs, frame)
    for stroke in drawing.curves:
        plt.plot(stroke.xs, stroke.ys, marker="braille", color=_color(stroke.role))
    _paint_signs(plt, [mark for mark in drawing.marks if len(mark.text) == 1], frame)
    for mark in drawing.marks:
        if len(mark.text) > 1:
            at = _x(frame, mark.column), _y(frame, mark.row)
            plt.text(mark.text, *at, color=_color(mark.role), alignment="left")
    return str(plt.build())


def _paint_signs(plt: ModuleType, marks: Iterable[Mark], frame: Frame) -> None:
    """Paint marks of one sign, all of a role at once. No two of them share a cell."""
    by_role: dict[Role, list[Mark]] = defaultdict(list)
    for mark in marks:
        by_role[mark.role].append(mark)
    for role, marks_of_role in by_role.items():
        xs = [_x(frame, mark.column) for mark in marks_of_role]
        ys = [_y(frame, mark.row) for mark in marks_of_role]
        plt.scatter(xs, ys, marker=[mark.text for mark in marks_of_role], color=_color(role))


def _x(frame: Frame, column: int) -> float:
    """Return plotext's x coordinate, in dots, of a column of cells."""
    return column * (ACROSS * frame.columns - 1) / (frame.columns - 1)


def _y(frame: Frame, row: int) -> float:
    return row * (UP * frame.rows - 1) / (frame.rows - 1)


def _color(role: Role) -> int:
    return _FIRST_COLOR + _ROLES.index(role)


def _line(row: str) -> Line:
    """Return a row of text with terminal colors as spans with roles."""
    first, *rest = _SGR.split(row)
    spans = [Span(first)]
    for color, text in zip(rest[::2], rest[1::2], strict=True):
        role = _ROLES[int(color) - _FIRST_COLOR] if color else "text"
        spans.append(Span(text, role))
    return tuple(span for span in spans if span.text)
