"""Small charts of the series that a run records, except the shares of its time."""

from __future__ import annotations

from tuitrain.core.safe import safe
from tuitrain.core.series import SHARES
from tuitrain.store.series import Summary
from tuitrain.view.chart import multiples, plot
from tuitrain.view.chart.live import check_record, options_for, rulers
from tuitrain.view.panel.reads import Reads
from tuitrain.view.picture import Picture, Span, filled, prose
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import words


def trends(run: Snapshot, reads: Reads, width: int, height: int) -> Picture:
    """Return a small chart of each series that fits, in width x height cells.

    Only those with what is searched for in their names.
    """
    check_record(run)
    shares = {series.name for series in SHARES.values()}
    measured = [summary for summary in run.series if summary.series.name not in shares]
    wanted = reads.search().strip()
    shown = [one for one in measured if wanted.casefold() in one.series.name.casefold()]
    if not shown:
        why = f"no series has {safe(wanted)} in its name" if measured else "nothing is measured yet"
        return filled(prose(why, width), width, height)
    across = multiples.places(len(shown), width, height).across
    columns = plot.canvas_columns(width // across)
    view = reads.chart_view()
    x = reads.curves.x_map(run, view.unit)
    swaps = tuple(x.x(step) for step in rulers(run))
    charts = [
        multiples.Chart(
            Span(f" {safe(summary.series.name)}", "muted"),
            _numbers(summary),
            tuple(reads.curves.series(run, summary.series.name, columns, view)),
            swaps,
        )
        for summary in shown[: multiples.places(len(shown), width, height).room]
    ]
    return multiples.grid(charts, width, height, options=options_for(run, view, x))


def _numbers(summary: Summary) -> tuple[tuple[Span, ...], ...]:
    unit = f" {safe(summary.series.unit)}" if summary.series.unit else ""
    extremes = ""
    if summary.low != summary.high:
        extremes = f"  {words.number(summary.low)} to {words.number(summary.high)}"
    return (
        (Span(f" {words.number(summary.last)}{unit}", "validation"),),
        (Span(extremes, "muted"),),
    )
