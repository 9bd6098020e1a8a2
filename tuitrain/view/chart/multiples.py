"""Small charts side by side, each of one number, all with the same x axis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from tuitrain.core.safe import safe
from tuitrain.store.reader import Best
from tuitrain.view.chart import plot
from tuitrain.view.chart.curves import Curves, curves_of, options_for, rulers
from tuitrain.view.picture import Line, Picture, Span, fitted
from tuitrain.view.state.metrics import ComparableMetric, comparable_metrics
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import words
from tuitrain.view.text.cells import width_of

LEAST_WIDTH, LEAST_HEIGHT = 26, 5
"""Of a small chart, its title included."""
_GAP = 2


@dataclass(frozen=True, slots=True)
class Chart:
    """A small chart: its title, which begins with a name and ends with numbers, and its curves."""

    name: Span
    numbers: tuple[tuple[Span, ...], ...]
    """In groups. The last ones are left out where there is no room, the first where it is long."""
    curves: tuple[plot.Curve, ...]
    rulers: tuple[float, ...] = ()


class Places(NamedTuple):
    """How many charts stand beside and below each other."""

    across: int
    down: int

    @property
    def room(self) -> int:
        return self.across * self.down


def places(count: int, width: int, height: int, least_width: int = LEAST_WIDTH) -> Places:
    """Return how up to `count` charts share so many cells; as few rows as hold all that can be."""
    across = max(1, min(count, width // least_width))
    down = max(1, min(-(-count // across), height // LEAST_HEIGHT))
    return Places(min(across, -(-count // down)), down)


def grid(
    charts: Sequence[Chart],
    width: int,
    height: int,
    *,
    options: plot.ChartOptions,
    least_width: int = LEAST_WIDTH,
) -> Picture:
    """Return as many of the charts as there is room for, in exactly width x height cells."""
    if not charts or width < 1 or height < 1:
        return (fitted([], width),) * max(0, height)
    across, down = places(len(charts), width, height, least_width)
    rows: list[Line] = []
    for number in range(down):
        lines = height * (number + 1) // down - height * number // down
        row = charts[number * across : (number + 1) * across]
        rows += _beside(row, across, (width, lines), options)
    return tuple(rows)


def _beside(
    charts: Sequence[Chart], across: int, size: tuple[int, int], options: plot.ChartOptions
) -> list[Line]:
    width, height = size
    cells = width // across
    pictures = [_drawn(chart, cells - _GAP, height, options) for chart in charts]
    return [
        fitted([piece for line in lines for piece in (*line, Span(" " * _GAP))], width)
        for lines in zip(*pictures, strict=True)
    ]


def _drawn(chart: Chart, width: int, height: int, options: plot.ChartOptions) -> Picture:
    picture = plot.draw_curves(
        chart.curves, width=width, height=height - 1, options=options, rulers=chart.rulers
    )
    return (_title(chart, width), *picture)


def _title(chart: Chart, width: int) -> Line:
    groups = list(chart.numbers)
    while groups and width_of(chart.name.text) + _cells(chain(*groups)) > width:
        if len(groups) == 1 and _cells(groups[0]) <= width // 2:
            break  # the name is cut short
        groups.pop()
    numbers = list(chain(*groups))
    return fitted([*fitted([chart.name], width - _cells(numbers)), *numbers], width)


def _cells(pieces: Iterable[Span]) -> int:
    return sum(width_of(piece.text) for piece in pieces)


def of_run(run: Snapshot, curves: Curves, width: int, height: int) -> Picture:
    """Return the curves of a run that stay comparable when its loss is swapped."""
    shown = chosen(run, width, height)
    across = places(len(shown), width, height).across
    judged = curves.validations(run, plot.canvas_columns(width // across))
    best = curves.best(run)
    swaps = tuple(rulers(run))
    charts = [
        Chart(
            _name(run, each),
            _numbers(run, each, best.get(each.name)),
            tuple(curves_of(each, judged)),
            swaps,
        )
        for each in shown
    ]
    return grid(charts, width, height, options=options_for(run))


def title(run: Snapshot, width: int, height: int, *, is_large: bool = False) -> str:
    """Return what the small charts of the run are, and how many of them there is no room for."""
    hidden = len(comparable_metrics(run.problem)) - len(chosen(run, width, height))
    more = f" ({hidden} more{'' if is_large else ': v'})" if hidden else ""
    return f"validations, comparable across swaps{more}"


def chosen(run: Snapshot, width: int, height: int) -> list[ComparableMetric]:
    """Return the measures of the run that there is room for, in an order that no swap changes.

    The leading metric goes first, then the loss in use, those used before, and the others.
    """
    every = comparable_metrics(run.problem)
    if not every:
        return []
    leading, *others = every
    others.sort(key=lambda metric: metric.part == "metrics")
    used = {_plain(segment.loss) for segment in run.segments}

    def rank(metric: ComparableMetric) -> tuple[bool, bool, bool]:
        return metric.part == "metrics", metric.name != _plain(run.loss), metric.name not in used

    room = places(1 + len(others), width, height).room
    kept = {leading, *sorted(others, key=rank)[: room - 1]}
    return [metric for metric in (leading, *others) if metric in kept]


def _plain(loss: str) -> str:
    """Return the name of a loss without its options: validations are judged by their defaults."""
    return loss.partition(":")[0]


def _name(run: Snapshot, measure: ComparableMetric) -> Span:
    if measure.part == "val_losses" and measure.name == _plain(run.loss):
        return Span(f"▸{safe(measure.name)}", "swap")
    return Span(f" {safe(measure.name)}", "muted")


def _numbers(
    run: Snapshot, measure: ComparableMetric, best: Best | None
) -> tuple[tuple[Span, ...], ...]:
    newest = measure.of(run.last_epoch) if run.last_epoch else None
    return (
        (Span(f" {words.value(newest)}", "validation"),),
        (Span(f" ★{words.value(best.value)}" if best else "", "good"),),
    )
