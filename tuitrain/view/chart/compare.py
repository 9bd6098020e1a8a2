"""Compare several runs: the curves of shared metrics, the results, and differing settings."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuitrain.core.numbers import to_strict
from tuitrain.core.safe import safe
from tuitrain.store.epoch_values import Best, EpochValues
from tuitrain.store.reader import RunReader
from tuitrain.view.chart.curve_chart import SWAPPED
from tuitrain.view.chart.curves import Curves
from tuitrain.view.chart.multiples import Chart, grid, places
from tuitrain.view.chart.plot import ChartOptions, Curve
from tuitrain.view.chart.shared_metrics import lack_of, nothing_shared, shared
from tuitrain.view.picture import SERIES, Line, Picture, Role, Span, fitted
from tuitrain.view.state.made_of import optimizer_of
from tuitrain.view.state.metrics import ComparableMetric, metrics_of
from tuitrain.view.state.progress import epochs_words, planned_epochs
from tuitrain.view.state.rate import lr_of
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import differences, report, words
from tuitrain.view.text.cells import first_fitting, whole_parts, width_of, wrapped
from tuitrain.view.text.listing import STATE_ROLES
from tuitrain.view.text.table import NO_BREAK, Row, table

SIGNS = string.ascii_uppercase
"""One for each run; there are more signs than colours."""
_OTHER_TASKS = (
    "their tasks differ: no value of one says anything about another",
    "their tasks differ: no contest",
)
_COUNTS = ("epochs", "batch size")
_AT_EPOCH = NO_BREAK.join(("", "@", "epoch", ""))


@dataclass(frozen=True, slots=True)
class Compared:
    """A compared run: its sign and colour, its validations, thinned for a chart, and its best."""

    sign: str
    role: Role
    run: Snapshot
    validations: EpochValues
    best: Mapping[str, Best]

    @classmethod
    def read(cls, number: int, run: Snapshot, curves: Curves, points: int) -> Compared:
        """Read the run with index `number` among those compared, with about `points` epochs."""
        role = SERIES[number % len(SERIES)]
        validations = curves.validations(run, points).lineage
        return cls(SIGNS[number], role, run, validations, curves.best(run))

    def has(self, metric: ComparableMetric) -> bool:
        """Return whether the run has the metric: others may share it without this one."""
        return metric in metrics_of(self.run)

    def newest(self, metric: ComparableMetric) -> float | None:
        """Return the value of the metric at the end of the last epoch."""
        last = self.run.last_epoch
        return metric.of(last) if last and self.has(metric) else None

    def peak(self, metric: ComparableMetric) -> Best | None:
        """Return the best value of the metric, with its epoch."""
        return self.best.get(metric.name) if self.has(metric) else None


def read_all(runs: Sequence[Snapshot], records: Iterable[RunReader], points: int) -> list[Compared]:
    """Read each run, with about `points` epochs."""
    pairs = zip(runs, records, strict=True)
    return [
        Compared.read(number, run, Curves(record), points)
        for number, (run, record) in enumerate(pairs)
    ]


def shared_by(compared: Sequence[Compared]) -> list[ComparableMetric]:
    """Return the metrics that the compared runs share."""
    return shared([entry.run for entry in compared])


def options_for(runs: Sequence[Snapshot]) -> ChartOptions:
    """Return the options of charts by epoch: the steps of two runs may differ in size."""
    return ChartOptions(
        planned=max(planned_epochs(run) for run in runs),
        newest=max(run.epoch for run in runs),
        unit="epoch",
    )


def legend(compared: Sequence[Compared], width: int) -> Picture:
    """Return a line for each run, with sign, name and progress, and one that explains swaps."""
    names = max(width_of(safe(entry.run.name)) for entry in compared)
    lines = [_legend_line(entry, min(names, width // 3), width) for entry in compared]
    if any(differences.changes(entry.run, "loss") for entry in compared):
        lines.append(fitted([Span(f" {SWAPPED}  its loss was swapped", "muted")], width))
    for entry in compared:
        if lack := lack_of(entry.run, shared_by(compared)):
            told = wrapped(f"{entry.sign} {lack}", max(1, width - 4))
            lines += [fitted([Span(f"    {line}", "warn")], width) for line in told]
    if not is_contest(compared):
        why = first_fitting(_OTHER_TASKS, width - 4)
        lines.append(fitted([Span(f"    {why}", "warn")], width))
    return tuple(lines)


def _legend_line(compared: Compared, name_cells: int, width: int) -> Line:
    run = compared.run
    lr = lr_of(run)
    rate = f" lr {lr:g}" if lr is not None else ""
    spans = [
        Span(f" {compared.sign}━ ", compared.role),
        *fitted([Span(safe(run.name), "strong")], name_cells),
        Span("  "),
        Span(f"● {run.condition}".ljust(12), STATE_ROLES[run.state]),
        Span(f"epoch {epochs_words(run)}  "),
    ]
    parts = [safe(run.task), safe(run.loss or "–"), f"{optimizer_of(run)}{rate}"]
    about = whole_parts(parts, width - sum(width_of(span.text) for span in spans))
    return fitted([*spans, Span(about, "muted")], width)


def charts(compared: Sequence[Compared], of: Sequence[ComparableMetric]) -> list[Chart]:
    """Return a chart for each metric, with the curves of all runs."""
    return [
        Chart(
            Span(f" {safe(metric.name)}", "muted"),
            (tuple(_number(entry, metric) for entry in compared if entry.has(metric)),),
            tuple(_curve(entry, metric) for entry in compared),
            may_be_log=metric.is_loss,
        )
        for metric in of
    ]


def page(compared: Sequence[Compared], number: int, width: int, height: int) -> Picture:
    """Return page `number` of the charts, from 0 and cyclic, in width x height cells."""
    runs = [entry.run for entry in compared]
    of = _on_page(compared, number, width, height)
    if not of:
        lines = wrapped(nothing_shared(runs), max(1, width))[:height]
        message = tuple(fitted([Span(line, "warn")], width) for line in lines)
        return message + (fitted([], width),) * (height - len(message))
    return grid(charts(compared, of), width, height, options=options_for(runs))


def page_title(compared: Sequence[Compared], number: int, width: int, height: int) -> str:
    """Return the title of a page of charts, with the number of metrics on other pages."""
    others = len(shared_by(compared)) - len(_on_page(compared, number, width, height))
    return "validations by epoch" + (f" ({others} more: v)" if others else "")


def has_more(compared: Sequence[Compared], width: int, height: int) -> bool:
    """Return whether there is more than one page."""
    return len(_on_page(compared, 0, width, height)) < len(shared_by(compared))


def _on_page(
    compared: Sequence[Compared], number: int, width: int, height: int
) -> list[ComparableMetric]:
    every = shared_by(compared)
    room = places(len(every), width, height).room if every else 1
    first = number % max(1, -(-len(every) // room)) * room
    return every[first : first + room]


def _number(entry: Compared, metric: ComparableMetric) -> Span:
    return Span(f"  {entry.sign} {words.value(entry.newest(metric))}", entry.role)


def _curve(entry: Compared, metric: ComparableMetric) -> Curve:
    swaps = tuple(float(epoch) for epoch, _ in differences.changes(entry.run, "loss"))
    points = tuple(metric.points(entry.validations, "epoch")) if entry.has(metric) else ()
    return Curve(points, entry.role, entry.sign, swaps)


def heads(compared: Sequence[Compared]) -> list[Span]:
    """Return the head of each run's column."""
    return [Span(f"{entry.sign} {safe(entry.run.name)}", entry.role) for entry in compared]


def settings_table(compared: Sequence[Compared], width: int) -> Picture:
    """Return the settings in which the runs differ."""
    differing = differences.differing([entry.run for entry in compared])
    if not differing:
        return (fitted([Span("the runs differ in no setting", "muted")], width),)
    rows = [
        Row(name, tuple(Span(_shown(name, text)) for text in texts))
        for name, texts in differing.items()
    ]
    return table(heads(compared), rows, width)


def _shown(name: str, text: str) -> str:
    """Return a setting with separators in its counts, in which an epoch stays with its sign."""
    counts = r"\d+" if name in _COUNTS else r"(?<=@ epoch )\d+"
    shown = re.sub(counts, lambda number: words.count(int(number[0])), text)
    return shown.replace(" @ epoch ", _AT_EPOCH)


def results_table(
    compared: Sequence[Compared], of: Sequence[ComparableMetric], width: int
) -> Picture:
    """Return the final and the best value of each metric, with the better runs marked."""
    rows = [row for metric in of for row in _results(compared, metric)]
    return table(heads(compared), rows, width)


def _results(compared: Sequence[Compared], metric: ComparableMetric) -> tuple[Row, Row]:
    newest = [entry.newest(metric) for entry in compared]
    bests = [entry.peak(metric) for entry in compared]
    peaks = [best and best.value for best in bests]
    epochs = [f"{NO_BREAK}@{words.count(best.epoch)}" if best else "" for best in bests]
    return (
        Row(metric.name, _marked(newest, _stars(compared, newest, metric), [""] * len(newest))),
        Row("  best", _marked(peaks, _stars(compared, peaks, metric), epochs)),
    )


def _stars(
    compared: Sequence[Compared], values: Sequence[float | None], metric: ComparableMetric
) -> list[bool]:
    """Return which values are marked: the best, and those that look as it does, unless all do."""
    leads = _leaders(compared, values, metric)
    shown = [words.value(value) for value in values]
    top = {text for text, leading in zip(shown, leads, strict=True) if leading}
    return [text in top and len(set(shown)) > 1 for text in shown]


def _leaders(
    compared: Sequence[Compared], values: Sequence[float | None], metric: ComparableMetric
) -> list[bool]:
    return better(values, metric) if is_contest(compared) else [False] * len(values)


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
    return len({entry.run.spec.task for entry in compared}) == 1


def results_title(compared: Sequence[Compared], cells: int) -> str:
    """Return the title of the table of results, for so many cells."""
    last = "★ better" if is_contest(compared) else "no contest, since their tasks differ"
    titles = ("how they did: last, and best @ epoch; ", "last, and best @ epoch; ", "")
    return first_fitting([f"{title}{last}" for title in titles], cells)


def better(values: Sequence[float | None], metric: ComparableMetric) -> list[bool]:
    """Return for each value whether it is the best; False for all if they are all equal."""
    comparable = [metric.sign * value for value in values if value is not None and value == value]
    if not comparable or len(values) == 1 or values.count(values[0]) == len(values):
        return [False] * len(values)
    top = max(comparable)
    return [value is not None and metric.sign * value == top for value in values]


def as_json(compared: Sequence[Compared], of: Sequence[ComparableMetric]) -> dict[str, Any]:
    """Return the comparison for programs; each list has an item per run, in the given order."""
    runs = [entry.run for entry in compared]
    comparison = {
        "runs": [
            {**report.as_json(run, full=False), "settings": differences.settings(run)}
            for run in runs
        ],
        "comparable": is_contest(compared),
        "differs": {name: list(row) for name, row in differences.differing(runs).items()},
        "measures": [_metric_json(compared, metric) for metric in of],
    }
    strict: dict[str, Any] = to_strict(comparison)
    return strict


def _metric_json(compared: Sequence[Compared], metric: ComparableMetric) -> dict[str, object]:
    newest = [entry.newest(metric) for entry in compared]
    bests = [entry.peak(metric) for entry in compared]
    peaks = [best and best.value for best in bests]
    return {
        "name": metric.name,
        "is_loss": metric.part == "val_losses",
        "more_is_better": metric.sign > 0,
        "final": newest,
        "best": peaks,
        "best_epoch": [best and best.epoch for best in bests],
        "better_final": _names(compared, _leaders(compared, newest, metric)),
        "better_best": _names(compared, _leaders(compared, peaks, metric)),
    }


def _names(compared: Sequence[Compared], leads: Sequence[bool]) -> list[str]:
    return [entry.run.name for entry, leading in zip(compared, leads, strict=True) if leading]
