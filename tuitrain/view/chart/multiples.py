"""Small charts side by side, one for each number, with the same x axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import NamedTuple

from tuitrain.core.events import EpochEnded
from tuitrain.core.safe import safe
from tuitrain.store.epoch_values import Best
from tuitrain.view.chart import plot
from tuitrain.view.chart.chart_view import USUAL, ChartView
from tuitrain.view.chart.curve_chart import curves_laid_out
from tuitrain.view.chart.curves import Curves, Validations, curves_of
from tuitrain.view.chart.live import check_record, options_for, rulers
from tuitrain.view.picture import Line, Picture, Span, fitted
from tuitrain.view.state.metrics import ComparableMetric, metrics_of
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import words
from tuitrain.view.text.cells import first_fitting, width_of

LEAST_WIDTH, LEAST_HEIGHT = 26, 5
"""Least cells of a small chart, including its title."""
_GAP = 2
_CORNERS = 2
"""Cells of the border beside a title."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A small chart: its title, made of a name and numbers, and its curves."""

    name: Span
    numbers: tuple[tuple[Span, ...], ...]
    """In groups. The last groups are dropped if there is no room, the first only if it is long."""
    curves: tuple[plot.Curve, ...]
    rulers: tuple[float, ...] = ()
    may_be_log: bool = True
    """Whether its y axis may be logarithmic."""


class DrawnCharts(dict[tuple[str, int, int], tuple[bool, Picture]]):
    """Charts that are drawn already, so that only those whose numbers changed are drawn again.

    By name, width and height: whether its axis is logarithmic, and its cells.
    """

    validations: Validations | None = None
    """What their curves are of."""


class Places(NamedTuple):
    """The columns and rows of a grid of charts."""

    across: int
    down: int

    @property
    def room(self) -> int:
        return self.across * self.down


def places(count: int, width: int, height: int, least_width: int = LEAST_WIDTH) -> Places:
    """Return the grid for up to `count` charts, with the fewest rows that hold all that fit.

    It has more rows where all fit, and would be higher than wide; a cell is twice as high as wide.
    """
    across = max(1, min(count, width // least_width))
    down = max(1, min(-(-count // across), height // LEAST_HEIGHT))
    while across * down >= count > down and 2 * height * -(-count // down) > width * down:
        down += 1
    return Places(min(across, -(-count // down)), down)


def grid(
    charts: Sequence[Chart],
    width: int,
    height: int,
    *,
    options: plot.ChartOptions,
    least_width: int = LEAST_WIDTH,
    drawn: DrawnCharts | None = None,
) -> Picture:
    """Return as many of the charts as fit, in exactly width x height cells.

    Curves in `drawn` are taken from there; the others are drawn and added to it.
    """
    if not charts or width < 1 or height < 1:
        return (fitted([], width),) * max(0, height)
    drawn = DrawnCharts() if drawn is None else drawn
    across, down = places(len(charts), width, height, least_width)
    rows: list[Line] = []
    for number in range(down):
        lines = height * (number + 1) // down - height * number // down
        row = charts[number * across : (number + 1) * across]
        draw = partial(_draw, width=width // across - _GAP, height=lines, options=options)
        pictures = [draw(chart, drawn=drawn) for chart in row]
        rows += _side_by_side(pictures, width)
    return tuple(rows)


def _side_by_side(pictures: Sequence[Picture], width: int) -> list[Line]:
    return [
        fitted([span for line in lines for span in (*line, Span(" " * _GAP))], width)
        for lines in zip(*pictures, strict=True)
    ]


def _draw(
    chart: Chart, width: int, height: int, options: plot.ChartOptions, drawn: DrawnCharts
) -> Picture:
    rows = height - 1
    if min(width, rows) < 2:
        return (_title(chart, width), *plot.blank(width, rows))
    where = chart.name.text, width, rows
    if where not in drawn:
        options = options if chart.may_be_log else replace(options, log_y=False)
        drawing = curves_laid_out(
            chart.curves, width=width, height=rows, options=options, rulers=chart.rulers
        )
        drawn[where] = drawing.is_log, plot.picture_of(drawing)
    is_log, curves = drawn[where]
    if is_log:
        chart = replace(chart, name=chart.name._replace(text=f"{chart.name.text} log"))
    return (_title(chart, width), *curves)


def _title(chart: Chart, width: int) -> Line:
    groups = list(chart.numbers)
    while groups and width_of(chart.name.text) + _cells(chain(*groups)) > width:
        if len(groups) == 1 and _cells(groups[0]) <= width // 2:
            break  # the name is cut short
        groups.pop()
    numbers = list(chain(*groups))
    return fitted([*fitted([chart.name], width - _cells(numbers)), *numbers], width)


def _cells(spans: Iterable[Span]) -> int:
    return sum(width_of(span.text) for span in spans)


def of_run(
    run: Snapshot, curves: Curves, width: int, height: int, view: ChartView = USUAL,
    *, drawn: DrawnCharts | None = None,
) -> Picture:  # fmt: skip
    """Return the curves of a run that stay comparable when its loss is swapped; as `grid` does."""
    check_record(run)
    shown = chosen(run, width, height)
    if not shown and run.is_watched and width > 0:
        text = " no validation seen: a loss computed without gradients is one"
        line = fitted([Span(text, "muted")], width)
        return ((line, *(fitted([], width),) * height)[:height]) if height > 0 else ()
    if not shown:  # its problem is not known yet
        return grid((), width, height, options=options_for(run))
    across = places(len(shown), width, height).across
    drawn = DrawnCharts() if drawn is None else drawn
    if drawn.validations is None:
        drawn.validations = curves.validations(run, plot.canvas_columns(width // across), view)
    validations, best = drawn.validations, curves.best(run)
    swaps = tuple(validations.x.x(step) for step in rulers(run))
    at = run.last_epoch if view.cursor is None else curves.epoch_at(run, view.cursor)
    charts = [
        Chart(
            _name(run, metric),
            _numbers(metric, at, best.get(metric.name), is_present=view.cursor is None),
            tuple(curves_of(metric, validations)),
            swaps,
            may_be_log=metric.is_loss,
        )
        for metric in shown
    ]
    options = options_for(run, view, validations.x)
    return grid(charts, width, height, options=options, drawn=drawn)


def title(
    run: Snapshot, width: int, height: int, view: ChartView = USUAL, *, is_large: bool = False
) -> str:
    """Return the title of the small charts of a run, with the number of those that do not fit."""
    hidden = len(metrics_of(run)) - len(chosen(run, width, height))
    more = f" ({hidden} more{'' if is_large else ': v'})" if hidden else ""
    which = ", comparable across swaps"
    if view.cursor is not None:
        which = f", at step {words.count(view.cursor)}"
    notes = view.notes(is_log=False)
    titles = [" · ".join([f"validations{part}{more}", *notes]) for part in (which, "")]
    return first_fitting(titles, width - _CORNERS)


def chosen(run: Snapshot, width: int, height: int) -> list[ComparableMetric]:
    """Return the metrics of the run that fit, in an order that no swap changes.

    The leading metric is kept first, then the loss in use, losses used before, and the others.
    """
    every = metrics_of(run)
    if not every:
        return []
    leading, *others = every
    others.sort(key=lambda metric: metric.part == "metrics")
    used = {_plain(segment.loss) for segment in run.segments}

    def rank(metric: ComparableMetric) -> tuple[bool, bool, bool]:
        return metric.part == "metrics", metric.name != _plain(run.loss), metric.name not in used

    room = places(1 + len(others), width, height).room
    fitting = {leading, *sorted(others, key=rank)[: room - 1]}
    return [metric for metric in (leading, *others) if metric in fitting]


def _plain(loss: str) -> str:
    """Return the name of a loss without its options: validations use the default options."""
    return loss.partition(":")[0]


def _name(run: Snapshot, metric: ComparableMetric) -> Span:
    if metric.part == "val_losses" and metric.name == _plain(run.loss):
        return Span(f"▸{safe(metric.name)}", "swap")
    return Span(f" {safe(metric.name)}", "muted")


def _numbers(
    metric: ComparableMetric, epoch: EpochEnded | None, best: Best | None, *, is_present: bool
) -> tuple[tuple[Span, ...], ...]:
    """Return the value after an epoch; then the best one, or which epoch it is."""
    value = Span(f" {words.value(metric.of(epoch) if epoch else None)}", "validation")
    if not is_present:
        return (value,), (Span(f" @{words.count(epoch.epoch)}" if epoch else "", "muted"),)
    return (value,), (Span(f" ★{words.value(best.value)}" if best else "", "good"),)
