"""One series of several runs over each other, by epoch: steps of two runs may differ in size."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from tuitrain.core.numbers import to_strict
from tuitrain.core.safe import safe
from tuitrain.store.series import Summary
from tuitrain.view.chart.compare import Compared, heads
from tuitrain.view.chart.curves import Curves, Source
from tuitrain.view.chart.multiples import Chart
from tuitrain.view.chart.plot import Curve
from tuitrain.view.picture import Picture, Span
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import words
from tuitrain.view.text.table import Row, table


def shared_series(runs: Sequence[Snapshot]) -> list[str]:
    """Return the names of the series that all the runs have."""
    first, *others = [[each.series.name for each in run.series] for run in runs]
    return [name for name in first if all(name in other for other in others)]


def series_chart(
    compared: Sequence[Compared], sources: Iterable[Source], name: str, points: int
) -> Chart:
    """Return the chart of a series, with the curves of all runs in it."""
    pairs = list(zip(compared, sources, strict=True))
    return Chart(
        Span(f" {safe(name)}", "muted"),
        (tuple(Span(f"  {one.sign} {words.number(_of(one, name).last)}", one.role)
               for one in compared),),
        tuple(_curve(one, source, name, points) for one, source in pairs),
    )  # fmt: skip


def series_table(compared: Sequence[Compared], name: str, width: int) -> Picture:
    """Return the last value and the extremes of a series in each run."""
    found = [_of(one, name) for one in compared]
    unit = f" {found[0].series.unit}" if found[0].series.unit else ""
    rows = [
        Row(what, tuple(Span(words.number(value)) for value in values))
        for what, values in (
            (f"{safe(name)}{safe(unit)}", [each.last for each in found]),
            ("  lowest", [each.low for each in found]),
            ("  highest", [each.high for each in found]),
        )
    ]
    return table(heads(compared), rows, width)


def series_json(compared: Sequence[Compared], name: str) -> dict[str, object]:
    """Return a series for programs; lists have an item for each run, in their order."""
    found = [_of(one, name) for one in compared]
    found_json = {
        "name": name,
        "unit": found[0].series.unit,
        "last": [each.last for each in found],
        "min": [each.low for each in found],
        "max": [each.high for each in found],
    }
    strict: dict[str, object] = to_strict(found_json)
    return strict


def _of(one: Compared, name: str) -> Summary:
    return next(summary for summary in one.run.series if summary.series.name == name)


def _curve(one: Compared, source: Source, name: str, points: int) -> Curve:
    curve = Curves(source).series(one.run, name, points)[-1]
    steps = _epoch_ends(one)
    at = tuple((_epoch_at(step, steps), value) for step, value in curve.points)
    return Curve(at, one.role, one.sign)


def _epoch_ends(one: Compared) -> list[tuple[int, float]]:
    """Return (step, completed epochs) where the run began, at epochs' ends, and a good way on."""
    run = one.run
    begin = (run.lineage.step, float(run.lineage.epoch))
    ends = [begin, *((each.step, float(each.epoch)) for each in one.epochs)]
    size = run.steps_per_epoch or 1
    return [*ends, (ends[-1][0] + size, ends[-1][1] + 1)]


def _epoch_at(step: float, ends: Sequence[tuple[int, float]]) -> float:
    """Return how many epochs were trained at a step, in parts of one."""
    after = min(max(1, bisect_left(ends, (int(step), 0.0))), len(ends) - 1)
    (first, begin), (last, end) = ends[after - 1], ends[after]
    return begin + (end - begin) * (step - first) / max(1, last - first)
