"""Lay out a chart of several curves: a pure function from curves to a drawing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby, pairwise

from tuitrain.view.chart import braille, columns, scale
from tuitrain.view.chart.axes import Ruled, ruled
from tuitrain.view.chart.braille import ACROSS, UP
from tuitrain.view.chart.drawing import (
    CURSOR,
    Axes,
    ChartOptions,
    Curve,
    Drawing,
    Frame,
    Mark,
    Ruler,
    Stroke,
    signs,
)
from tuitrain.view.chart.x_axis import XUnit

_LEAST_WIDTH, _LEAST_HEIGHT, _LEAST_WHOLE = 16, 3, 10
"""Below this width or height a chart has no axes; below the last height it has thin ones."""
_LEAST_COLUMNS = 4
_LETTERS_APART = 18
"""Cells from one sign of a curve to the next, if there are several curves."""
_CELLS_APART = 3
"""Least average cells per point of a single curve whose points are all marked."""

SWAPPED = "◆"
"""Marks on a curve where its loss was swapped."""

_Line = list[tuple[int, float]]
"""(column of dots, height from 0 to 1)"""


def curves_laid_out(
    curves: Sequence[Curve],
    *,
    width: int,
    height: int,
    options: ChartOptions,
    rulers: Sequence[float] = (),
) -> Drawing:
    """Return the drawing of `curves` in at least 2 x 2 cells; later ones cover earlier ones."""
    ends = options.ends(max((x for curve in curves for x, _ in curve.points), default=0))
    axes, (frame, axis, x_ticks, y_ticks) = _ruled(
        _axis_of(curves, options), (width, height), ends=ends, unit=options.unit
    )
    if options.window is not None:
        curves = [_visible(curve, frame) for curve in curves]
    past = [curve for curve in curves if curve.role == "past"]
    present = [curve for curve in curves if curve.role != "past"]
    cursor = [] if options.cursor is None else [Ruler(frame.cell(options.cursor), CURSOR)]
    return Drawing(
        frame,
        axes,
        x_ticks,
        y_ticks,
        [*(Ruler(frame.cell(x)) for x in rulers if frame.shows(x)), *cursor],
        [mark for curve in past for mark in _dimmed(curve, frame, axis)],
        [stroke for curve in present for stroke in _strokes(curve, frame, axis)],
        [
            *(mark for curve in present for mark in _troubles(curve, frame, axis)),
            *_signs(present, frame, axis),
        ],
        is_log=axis.is_log,
    )


def _visible(curve: Curve, frame: Frame) -> Curve:
    return replace(curve, points=tuple(point for point in curve.points if frame.shows(point[0])))


def _ruled(
    axis: scale.Axis, size: tuple[int, int], *, ends: tuple[float, float], unit: XUnit
) -> tuple[Axes, Ruled]:
    width, height = size
    axes: Axes = "whole" if height >= _LEAST_WHOLE else "thin"
    if width >= _LEAST_WIDTH and height >= _LEAST_HEIGHT:
        with_axes = ruled(axis, axes, size, header=0, ends=ends, unit=unit)
        if with_axes.frame.columns >= _LEAST_COLUMNS:
            return axes, with_axes
    return "none", ruled(axis, "none", size, header=0, ends=ends, unit=unit)


def _axis_of(curves: Sequence[Curve], options: ChartOptions) -> scale.Axis:
    present = [curve for curve in curves if curve.role != "past" and curve.points] or curves
    points = sorted(point for curve in present for point in curve.points if math.isfinite(point[1]))
    pairs = [(value, value) for _, value in points]
    return scale.axis(pairs, is_full=options.full_range, is_log=options.log_y)


def _pieces(curve: Curve, frame: Frame, axis: scale.Axis) -> Iterator[_Line]:
    """Yield the lines of a curve, which is split at nonfinite values."""
    for is_finite, points in groupby(curve.points, key=lambda point: math.isfinite(point[1])):
        if is_finite:
            yield from columns.inside([(frame.dot(x), axis.place(value)) for x, value in points])


def _dots(line: _Line, frame: Frame) -> list[tuple[int, int]]:
    return [(x, frame.dot_up(place)) for x, place in line]


def _dimmed(curve: Curve, frame: Frame, axis: scale.Axis) -> Iterator[Mark]:
    for line in _pieces(curve, frame, axis):
        yield from signs(braille.dashed(_dots(line, frame)), "past")


def _strokes(curve: Curve, frame: Frame, axis: scale.Axis) -> Iterator[Stroke]:
    for line in _pieces(curve, frame, axis):
        dots = _dots(line, frame)
        yield Stroke([x for x, _ in dots], [y for _, y in dots], curve.role)


def _troubles(curve: Curve, frame: Frame, axis: scale.Axis) -> Iterator[Mark]:
    """Yield crosses for nonfinite values, and arrow heads for values that the axis cuts off."""
    for x, value in curve.points:
        if not math.isfinite(value):
            yield Mark(frame.cell(x), 0, "×", "bad")
        elif side := axis.side(value):
            row, sign = (frame.top, "▲") if side > 0 else (0, "▼")
            yield Mark(frame.cell(x), row, sign, "warn")


def _signs(curves: Sequence[Curve], frame: Frame, axis: scale.Axis) -> Iterator[Mark]:
    """Yield the signs that distinguish several curves, or mark the few points of a single one."""
    taken: set[tuple[int, int]] = set()
    for number, curve in enumerate(curves):
        shown = [(x, value) for x, value in curve.points if not _is_off(value, axis)]
        cells = [_cell(point, frame, axis) for point in shown]
        swaps = [_cell(point, frame, axis) for point in _following(curve.swaps, shown)]
        if len(curves) > 1:
            shift = _LETTERS_APART * number // len(curves)
            cells = [*cells[-1:], *_along(curve, frame, axis, shift)]
        elif len(cells) * _CELLS_APART > frame.columns:
            cells = []
        for (column, row), sign in [
            *((cell, SWAPPED) for cell in swaps), *((cell, curve.sign) for cell in cells)
        ]:  # fmt: skip
            if (column, row) not in taken:
                taken.add((column, row))
                yield Mark(column, row, sign, curve.role)


def _cell(point: tuple[float, float], frame: Frame, axis: scale.Axis) -> tuple[int, int]:
    return frame.cell(point[0]), frame.cell_up(axis.place(point[1]))


def _following(
    swaps: Sequence[float], points: Sequence[tuple[float, float]]
) -> Iterator[tuple[float, float]]:
    """Yield the first point at or after each swap."""
    for swap in swaps:
        yield from [point for point in points if point[0] >= swap][:1]


def _is_off(value: float, axis: scale.Axis) -> bool:
    return not math.isfinite(value) or axis.side(value) != 0


def _along(curve: Curve, frame: Frame, axis: scale.Axis, shift: int) -> Iterator[tuple[int, int]]:
    """Yield the cells of a curve at regular columns, starting at `shift`."""
    for line in _pieces(curve, frame, axis):
        for (x, place), (to_x, to_place) in pairwise(line):
            for dot in range(x, to_x):
                if dot % (ACROSS * _LETTERS_APART) == ACROSS * shift:
                    between = place + (to_place - place) * (dot - x) / (to_x - x)
                    if 0 <= between <= 1:
                        yield dot // ACROSS, frame.dot_up(between) // UP
