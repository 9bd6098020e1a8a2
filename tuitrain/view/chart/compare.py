"""Several runs over each other: what they share, how it went, and in what they differ."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuitrain.core.events import EpochEnded
from tuitrain.core.numbers import to_strict
from tuitrain.core.safe import safe
from tuitrain.store.reader import Best
from tuitrain.view.chart.curve_chart import SWAPPED
from tuitrain.view.chart.curves import Curves, Source
from tuitrain.view.chart.multiples import Chart, grid, places
from tuitrain.view.chart.plot import ChartOptions, Curve
from tuitrain.view.picture import SERIES, Line, Picture, Role, Span, fitted
from tuitrain.view.state.metrics import ComparableMetric, comparable_metrics
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import differences, report, words
from tuitrain.view.text.cells import width_of, wrapped
from tuitrain.view.text.listing import STATE_ROLES
from tuitrain.view.text.table import NO_BREAK, Row, table

SIGNS = string.ascii_uppercase
"""One for each run; there are fewer colours."""
_AT_EPOCH = NO_BREAK.join(("", "@", "epoch", ""))


@dataclass(frozen=True, slots=True)
class Compared:
    """A run among others: how it is told apart, and its epochs as far as a chart shows them."""

    sign: str
    role: Role
    run: Snapshot
    epochs: tuple[EpochEnded, ...]
    best: Mapping[str, Best]

    @classmethod
    def read(cls, number: int, run: Snapshot, curves: Curves, points: int) -> Compared:
        """Read a run, the `number`th of those compared, counted from 0."""
        epochs = curves.validations(run, points).line
        return cls(SIGNS[number], SERIES[number % len(SERIES)], run, epochs, curves.best(run))

    def newest(self, measure: ComparableMetric) -> float | None:
        """Return the measure's value at the end of the last epoch."""
        return measure.of(self.run.last_epoch) if self.run.last_epoch else None

    def peak(self, measure: ComparableMetric) -> float | None:
        """Return the measure's best value."""
        return self.best[measure.name].value if measure.name in self.best else None


def read_all(runs: Sequence[Snapshot], sources: Iterable[Source], points: int) -> list[Compared]:
    """Read each run from its source, with about so many epochs."""
    pairs = zip(runs, sources, strict=True)
    return [
        Compared.read(number, run, Curves(source), points)
        for number, (run, source) in enumerate(pairs)
    ]


def shared(runs: Sequence[Snapshot]) -> list[ComparableMetric]:
    """Return what all the runs have, the leading metric first.

    Losses are among it only where all problems are of one kind: a loss of ten classes and one of
    two are different numbers.
    """
    first, *others = [comparable_metrics(run.problem) for run in runs]
    common = [metric for metric in first if all(metric in other for other in others)]
    are_alike = len({run.kind for run in runs}) == 1
    return common if are_alike else [metric for metric in common if metric.part == "metrics"]


def shared_by(compared: Sequence[Compared]) -> list[ComparableMetric]:
    """Return what all of the compared runs have."""
    return shared([each.run for each in compared])


def nothing_shared(runs: Sequence[Snapshot]) -> str:
    """Return why there is nothing to compare."""
    told = ", ".join(f"{safe(run.name)} is {run.kind or 'of no kind'} ({run.task})" for run in runs)
    return f"these runs have no metric in common: {told}; compare runs of one kind of problem"


def options_for(runs: Sequence[Snapshot]) -> ChartOptions:
    """Return how runs are seen over each other: by epoch, since their steps differ in size."""
    return ChartOptions(
        planned=max(run.planned_epochs for run in runs), newest=max(run.epoch for run in runs)
    )


def legend(compared: Sequence[Compared], width: int) -> Picture:
    """Return a line for each run: its sign, name, and how far it is; and what else is marked."""
    names = max(width_of(safe(one.run.name)) for one in compared)
    lines = [_legend_line(one, min(names, width // 3), width) for one in compared]
    if any(differences.changes(one.run, "loss") for one in compared):
        lines.append(fitted([Span(f" {SWAPPED}  its loss was swapped", "muted")], width))
    return tuple(lines)


def _legend_line(compared: Compared, name_cells: int, width: int) -> Line:
    run = compared.run
    about = f"{run.task} · {run.loss} · {run.optimizer} lr {run.settings['lr']:g}"
    return fitted(
        [
            Span(f" {compared.sign}━ ", compared.role),
            *fitted([Span(safe(run.name), "strong")], name_cells),
            Span("  "),
            Span(f"● {run.state}".ljust(12), STATE_ROLES[run.state]),
            Span(f"epoch {run.epoch}/{run.planned_epochs}  "),
            Span(safe(about), "muted"),
        ],
        width,
    )


def charts(compared: Sequence[Compared], of: Sequence[ComparableMetric]) -> list[Chart]:
    """Return a chart for each measure, with the curves of all runs in it."""
    return [
        Chart(
            Span(f" {safe(each.name)}", "muted"),
            (tuple(_number(one, each) for one in compared),),
            tuple(_curve(one, each) for one in compared),
        )
        for each in of
    ]


def page(compared: Sequence[Compared], number: int, width: int, height: int) -> Picture:
    """Return the `number`th lot of charts, counted from 0 and round, in width x height cells."""
    runs = [each.run for each in compared]
    of = _on_page(compared, number, width, height)
    if not of:
        lines = wrapped(nothing_shared(runs), max(1, width))[:height]
        told = tuple(fitted([Span(line, "warn")], width) for line in lines)
        return told + (fitted([], width),) * (height - len(told))
    return grid(charts(compared, of), width, height, options=options_for(runs))


def page_title(compared: Sequence[Compared], number: int, width: int, height: int) -> str:
    """Return what the `number`th lot of charts shows, and how many others there are."""
    others = len(shared_by(compared)) - len(_on_page(compared, number, width, height))
    return "validations by epoch" + (f" ({others} more: v)" if others else "")


def _on_page(
    compared: Sequence[Compared], number: int, width: int, height: int
) -> list[ComparableMetric]:
    every = shared_by(compared)
    room = places(len(every), width, height).room if every else 1
    first = number % max(1, -(-len(every) // room)) * room
    return every[first : first + room]


def _number(one: Compared, measure: ComparableMetric) -> Span:
    return Span(f"  {one.sign} {words.value(one.newest(measure))}", one.role)


def _curve(one: Compared, measure: ComparableMetric) -> Curve:
    swaps = tuple(float(epoch) for epoch, _ in differences.changes(one.run, "loss"))
    return Curve(tuple(measure.points(one.epochs, "epoch")), one.role, one.sign, swaps)


def heads(compared: Sequence[Compared]) -> list[Span]:
    """Return the head of each run's column."""
    return [Span(f"{each.sign} {safe(each.run.name)}", each.role) for each in compared]


def settings_table(compared: Sequence[Compared], width: int) -> Picture:
    """Return the settings in which the runs differ."""
    differing = differences.differing([each.run for each in compared])
    if not differing:
        return (fitted([Span("the runs differ in no setting", "muted")], width),)
    rows = [
        Row(name, tuple(Span(text.replace(" @ epoch ", _AT_EPOCH)) for text in texts))
        for name, texts in differing.items()
    ]
    return table(heads(compared), rows, width)


def results_table(
    compared: Sequence[Compared], of: Sequence[ComparableMetric], width: int
) -> Picture:
    """Return the final and the best value of each measure, the better ones marked."""
    rows = [row for each in of for row in _results(compared, each)]
    return table(heads(compared), rows, width)


def _results(compared: Sequence[Compared], measure: ComparableMetric) -> tuple[Row, Row]:
    newest = [one.newest(measure) for one in compared]
    peaks = [one.peak(measure) for one in compared]
    at = [one.best[measure.name].epoch if measure.name in one.best else None for one in compared]
    told = [f"{NO_BREAK}@{epoch}" if epoch is not None else "" for epoch in at]
    return (
        Row(measure.name, _marked(newest, _leaders(compared, newest, measure), [""] * len(newest))),
        Row("  best", _marked(peaks, _leaders(compared, peaks, measure), told)),
    )


def _leaders(
    compared: Sequence[Compared], values: Sequence[float | None], measure: ComparableMetric
) -> list[bool]:
    return better(values, measure) if is_contest(compared) else [False] * len(values)


def _marked(
    values: Sequence[float | None], leaders: Sequence[bool], after: Sequence[str]
) -> tuple[Span, ...]:
    return tuple(
        Span(
            f"{words.value(value)}{more}{NO_BREAK + '★' if leads else ''}",
            "good" if leads else "text",
        )
        for value, more, leads in zip(values, after, leaders, strict=True)
    )


def is_contest(compared: Sequence[Compared]) -> bool:
    """Return whether one of the runs can be the better one: all are of the same task."""
    return len({one.run.spec.task for one in compared}) == 1


def results_title(compared: Sequence[Compared]) -> str:
    """Return what the table of results shows."""
    if is_contest(compared):
        return "how they did: last, and best @ epoch; ★ is the better one"
    return "how they did: last, and best @ epoch; no contest, since their tasks differ"


def better(values: Sequence[float | None], measure: ComparableMetric) -> list[bool]:
    """Return which of the values are the best; none of them where all are alike."""
    comparable = [measure.sign * value for value in values if value is not None and value == value]
    if not comparable or len(values) == 1 or values.count(values[0]) == len(values):
        return [False] * len(values)
    top = max(comparable)
    return [value is not None and measure.sign * value == top for value in values]


def as_json(compared: Sequence[Compared], of: Sequence[ComparableMetric]) -> dict[str, Any]:
    """Return the comparison for programs; lists have an item for each run, in their order."""
    runs = [each.run for each in compared]
    found = {
        "runs": [
            {**report.as_json(run, full=False), "settings": differences.settings(run)}
            for run in runs
        ],
        "differs": {name: list(row) for name, row in differences.differing(runs).items()},
        "measures": [_metric_json(compared, each) for each in of],
    }
    strict: dict[str, Any] = to_strict(found)
    return strict


def _metric_json(compared: Sequence[Compared], measure: ComparableMetric) -> dict[str, object]:
    newest = [one.newest(measure) for one in compared]
    peaks = [one.peak(measure) for one in compared]
    bests = [one.best.get(measure.name) for one in compared]
    return {
        "name": measure.name,
        "is_loss": measure.part == "val_losses",
        "more_is_better": measure.sign > 0,
        "final": newest,
        "best": peaks,
        "best_epoch": [best and best.epoch for best in bests],
        "better_final": _names(compared, _leaders(compared, newest, measure)),
        "better_best": _names(compared, _leaders(compared, peaks, measure)),
    }


def _names(compared: Sequence[Compared], leads: Sequence[bool]) -> list[str]:
    return [one.run.name for one, leading in zip(compared, leads, strict=True) if leading]
