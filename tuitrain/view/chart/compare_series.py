"""Compare one series of several runs by epoch: the steps of two runs may differ in size.

Where one of them is a script without epochs, by step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tuitrain.core.numbers import to_strict
from tuitrain.core.safe import safe
from tuitrain.store.reader import RunReader
from tuitrain.store.series import Summary
from tuitrain.view.chart.chart_view import ChartView
from tuitrain.view.chart.compare import Compared, heads
from tuitrain.view.chart.curves import Curves
from tuitrain.view.chart.multiples import Chart
from tuitrain.view.chart.plot import ChartOptions, Curve
from tuitrain.view.picture import Picture, Span
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import words
from tuitrain.view.text.table import Row, table


def shared_series(runs: Sequence[Snapshot]) -> list[str]:
    """Return the names of the series that all the runs have."""
    first, *others = [[summary.series.name for summary in run.series] for run in runs]
    return [name for name in first if all(name in other for other in others)]


def is_by_epoch(runs: Sequence[Snapshot]) -> bool:
    """Return whether all the runs have epochs, which a series can be compared by."""
    return all(run.steps_per_epoch for run in runs)


def options_by_step(runs: Sequence[Snapshot]) -> ChartOptions:
    """Return the options of a chart by step."""
    newest = max(run.step for run in runs)
    return ChartOptions(planned=max(1, newest), newest=newest)


def series_chart(
    compared: Sequence[Compared], records: Iterable[RunReader], name: str, points: int
) -> Chart:
    """Return the chart of a series, with the curves of all runs."""
    pairs = list(zip(compared, records, strict=True))
    by_epoch = is_by_epoch([entry.run for entry in compared])
    return Chart(
        Span(f" {safe(name)}", "muted"),
        (tuple(Span(f"  {entry.sign} {words.number(_summary(entry, name).last)}", entry.role)
               for entry in compared),),
        tuple(_curve(entry, record, name, points, by_epoch=by_epoch) for entry, record in pairs),
    )  # fmt: skip


def series_table(compared: Sequence[Compared], name: str, width: int) -> Picture:
    """Return the last value and the extremes of a series in each run."""
    summaries = [_summary(entry, name) for entry in compared]
    unit = f" {summaries[0].series.unit}" if summaries[0].series.unit else ""
    rows = [
        Row(label, tuple(Span(words.number(value)) for value in values))
        for label, values in (
            (f"{safe(name)}{safe(unit)}", [summary.last for summary in summaries]),
            ("  lowest", [summary.low for summary in summaries]),
            ("  highest", [summary.high for summary in summaries]),
        )
    ]
    return table(heads(compared), rows, width)


def series_json(compared: Sequence[Compared], name: str) -> dict[str, object]:
    """Return a series for programs; each list has an item per run, in the given order."""
    summaries = [_summary(entry, name) for entry in compared]
    series = {
        "name": name,
        "unit": summaries[0].series.unit,
        "last": [summary.last for summary in summaries],
        "min": [summary.low for summary in summaries],
        "max": [summary.high for summary in summaries],
    }
    strict: dict[str, object] = to_strict(series)
    return strict


def _summary(entry: Compared, name: str) -> Summary:
    return next(summary for summary in entry.run.series if summary.series.name == name)


def _curve(entry: Compared, record: RunReader, name: str, points: int, *, by_epoch: bool) -> Curve:
    view = ChartView(unit="epoch" if by_epoch else "step")
    *_, lineage = Curves(record).series(entry.run, name, points, view)
    return Curve(lineage.points, entry.role, entry.sign)
