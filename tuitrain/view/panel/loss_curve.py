"""A loss as a curve over one prediction, with the samples of the newest batch on it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tuitrain.catalog import LOSSES
from tuitrain.core.decode import decoded
from tuitrain.core.detail import BATCH, LOSS_CURVES, Batch, LossCurve, LossCurves
from tuitrain.core.errors import DamagedRecord
from tuitrain.core.safe import safe
from tuitrain.view.chart.braille import ACROSS, UP, line, sign
from tuitrain.view.panel.reads import Details, Reads
from tuitrain.view.picture import Line, Picture, Role, Span, fitted
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import words
from tuitrain.view.text.cells import cut, padded, to_the_right, width_of, wrapped

_GUTTER = 6
"""Cells of the numbers beside the y axis."""
_TOP_AT = {"log-odds": -6.0, "residual": 3.0}
"""The place whose loss is at the top: beyond it a curve may leave the chart."""
_NEAR = {"log-odds": (-5.0, 0.0, 5.0), "residual": (0.5, 1.0, 3.0)}
"""The places whose values and slopes stand in the table."""
_AXIS_NAMES = {
    "log-odds": "log-odds of the right class",
    "residual": "prediction − target, in deviations of the target",
}
_SAMPLE, _ABOVE = "●", "▲"
_NAME_CELLS = 18

_Grid = dict[tuple[int, int], Span]
"""The signs by (column, row), counted from the lower left."""


class _Seen(NamedTuple):
    curves: LossCurves
    batch: Batch | None
    step: int


def curve(run: Snapshot, reads: Reads, width: int, height: int) -> Picture:
    """Return the loss in use over one prediction, the other losses behind it, and the samples."""
    seen = _seen(run, reads.details)
    own = seen.curves.curves.get(run.loss) if seen else None
    if seen is None or own is None or width < 24 or height < 6:
        return _filled([fitted([Span(f" {_missing(run, seen)}", "muted")], width)], width, height)
    columns, rows = width - _GUTTER - 1, height - 3
    places = seen.curves.places
    top = _value_at(own, places, _TOP_AT[seen.curves.axis])
    top = top if math.isfinite(top) and top > 0 else 1.0
    grid: _Grid = {}
    for name, other in seen.curves.curves.items():
        if name != run.loss:
            _draw(grid, other, "past", top, (columns, rows))
    for name, other in seen.curves.curves.items():
        if name != run.loss:
            _name(grid, safe(name), other, top, (columns, rows))
    _draw(grid, own, "smooth", top, (columns, rows))
    if seen.batch is not None:
        _put_samples(grid, seen.batch, places, top, (columns, rows))
    return _filled([_heading(run, seen, width), *_framed(grid, seen.curves, top, width, rows)],
                   width, height)  # fmt: skip


def lesson(run: Snapshot, reads: Reads, width: int, height: int) -> Picture:
    """Return what the loss in use is, and its values and slopes beside those of the others."""
    seen = _seen(run, reads.details)
    table = list(_table(run, seen.curves, width)) if seen else []
    text = list(_text(run, width))
    room = max(0, height - len(table) - 1)
    return _filled([*table, *([fitted([], width)] if table else []), *text[:room]], width, height)


def _filled(lines: list[Line], width: int, height: int) -> Picture:
    return tuple((lines + [fitted([], width)] * height)[:height])


def _seen(run: Snapshot, details: Details) -> _Seen | None:
    """Return the newest curves, and the newest batch if it was trained with the loss in use."""
    found = None
    for segment in reversed(run.segments):
        found = found or details.newest_detail(segment.take, segment.last, LOSS_CURVES)
    if found is None:
        return None
    batch = details.newest_detail(run.take, run.step, BATCH)
    is_of_loss = batch is not None and run.loss_at(batch[0]) == run.loss
    try:
        curves = _whole(decoded(LossCurves, found[1]))
        seen = decoded(Batch, batch[1]) if batch is not None and is_of_loss else None
    except DamagedRecord:
        return None
    return _Seen(curves, seen, batch[0] if batch else 0)


def _whole(curves: LossCurves) -> LossCurves:
    """Return the curves; DamagedRecord unless each has a value and a slope at every place."""
    lengths = {
        len(part) for curve in curves.curves.values() for part in (curve.values, curve.slopes)
    }
    if len(curves.places) < 2 or lengths != {len(curves.places)}:
        raise DamagedRecord("its loss curves are cut off")
    return curves


def _missing(run: Snapshot, seen: _Seen | None) -> str:
    if run.is_watched:
        return "of a watched script no loss is recorded as a curve"
    if run.kind is None:
        return "the outputs of this task have no axis that a loss could be drawn over"
    if seen is None:
        return "this record has no loss curves: those of today's runs do"
    if run.loss not in seen.curves.curves:
        return f"{words.loss(run.loss)} cannot be drawn for one sample alone"
    return "a curve needs more room: enter shows this panel alone"


def _value_at(curve: LossCurve, places: Sequence[float], place: float) -> float:
    return curve.values[_index(places, place)]


def _index(places: Sequence[float], place: float) -> int:
    return min(range(len(places)), key=lambda index: abs(places[index] - place))


def _draw(grid: _Grid, curve: LossCurve, role: Role, top: float, size: tuple[int, int]) -> None:
    """Draw the part of a curve that is within the chart."""
    columns, rows = size
    last = len(curve.values) - 1
    dots: list[tuple[int, int]] = []
    runs = [dots]
    for index, value in enumerate(curve.values):
        if not (math.isfinite(value) and 0 <= value <= top):
            if dots:
                dots = []
                runs.append(dots)
            continue
        x = round(index / max(1, last) * (ACROSS * columns - 1))
        dots.append((x, round(value / top * (UP * rows - 1))))
    for part in runs:
        for place, bits in line(part).items():
            grid[place] = Span(sign(bits), role)


def _name(grid: _Grid, name: str, curve: LossCurve, top: float, size: tuple[int, int]) -> None:
    """Write the name of a curve above its leftmost visible point, where there is room."""
    columns, rows = size
    last = len(curve.values) - 1
    for index, value in enumerate(curve.values):
        if not 0 <= value <= top:
            continue
        column = min(round(index / max(1, last) * (columns - 1)) + 1, columns - width_of(name))
        row = round(value / top * (rows - 1))
        for at in (row + 1, row - 1, row + 2, row - 2):
            cells = [(column + offset, at) for offset in range(width_of(name))]
            if column >= 0 and 0 <= at < rows and not any(cell in grid for cell in cells):
                grid.update({cell: Span(character, "muted")
                             for cell, character in zip(cells, name, strict=False)})  # fmt: skip
                return
        return


def _put_samples(
    grid: _Grid, batch: Batch, places: Sequence[float], top: float, size: tuple[int, int]
) -> None:
    columns, rows = size
    low, high = places[0], places[-1]
    for place, loss in zip(batch.places, batch.losses, strict=False):
        if not (math.isfinite(place) and math.isfinite(loss)):
            continue
        share = min(1.0, max(0.0, (place - low) / (high - low)))
        row = min(rows - 1, max(0, round(loss / top * (rows - 1))))
        mark = _ABOVE if loss > top else _SAMPLE
        grid[round(share * (columns - 1)), row] = Span(mark, "validation")


def _heading(run: Snapshot, seen: _Seen, width: int) -> Line:
    spans = [Span(f" {words.loss(run.loss)}", "smooth")]
    if seen.batch is not None and seen.batch.places:
        count = len(seen.batch.places)
        text = f"  {_SAMPLE} the first {count} samples of step {words.count(seen.step)}"
        spans.append(Span(text, "validation"))
    spans.append(Span("  grey: the other losses that fit", "muted"))
    return fitted(spans, width)


def _framed(grid: _Grid, curves: LossCurves, top: float, width: int, rows: int) -> Iterator[Line]:
    columns = width - _GUTTER - 1
    for row in range(rows - 1, -1, -1):
        number = {rows - 1: top, (rows - 1) // 2: top * ((rows - 1) // 2) / (rows - 1), 0: 0.0}
        label = f"{number[row]:.2g}" if row in number else ""
        cells = [grid.get((column, row), Span(" ")) for column in range(columns)]
        yield fitted([Span(to_the_right(label, _GUTTER - 1) + " ", "muted"),
                      Span("│", "axis"), *cells], width)  # fmt: skip
    yield fitted([Span(" " * _GUTTER + "└" + "─" * columns, "axis")], width)
    low, high = (words.number(place) for place in (curves.places[0], curves.places[-1]))
    name = cut(_AXIS_NAMES[curves.axis], max(0, columns - len(low) - len(high) - 2))
    gap = columns - len(low) - len(high) - width_of(name)
    left = gap // 2
    text = f"{low}{' ' * left}{name}{' ' * (gap - left)}{high}"
    yield fitted([Span(" " * (_GUTTER + 1)), Span(text, "muted")], width)


def _table(run: Snapshot, curves: LossCurves, width: int) -> Iterator[Line]:
    """Yield value and slope of each loss at a few places."""
    near = _NEAR[curves.axis]
    what = "log-odds" if curves.axis == "log-odds" else "residual"
    head = f" {'value and slope at':<{_NAME_CELLS}}"
    head += "".join(f"{f'{what} {place:g}':>18}" for place in near)
    yield fitted([Span(head, "muted")], width)
    losses = sorted(curves.curves.items(), key=lambda item: item[0] != run.loss)
    for name, values in losses:
        is_own = name == run.loss
        spans = [Span(f" {'●' if is_own else ' '} ", "smooth")]
        spans.append(
            Span(padded(cut(safe(words.loss(name)), 16), 16), "strong" if is_own else "text")
        )
        for place in near:
            index = _index(curves.places, place)
            value, slope = words.value(values.values[index]), f"{values.slopes[index]:.2g}"
            spans += [Span(to_the_right(value, 9)), Span(to_the_right(slope, 9), "muted")]
        yield fitted(spans, width)


def _text(run: Snapshot, width: int) -> Iterator[Line]:
    """Yield the lesson of the catalogue on the loss in use."""
    if not run.loss:
        yield fitted([Span(" the loss is known with the script's first step", "muted")], width)
        return
    loss = LOSSES.get(run.loss.partition(":")[0])
    if loss is None:
        yield fitted([Span(f" {words.loss(run.loss)}: a loss of this run's own", "muted")], width)
        return
    yield fitted([Span(f" {loss.formula}", "accent")], width)
    rows: Mapping[str, str] = {"inside": loss.inside, "when": loss.when, "not": loss.when_not}
    for label, text in rows.items():
        for number, part in enumerate(wrapped(text, max(16, width - 9))):
            head = label if number == 0 else ""
            yield fitted([Span(f" {head:<7} ", "muted"), Span(part)], width)
