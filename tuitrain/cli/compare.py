"""tuitrain compare"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tuitrain.cli.common import find_run, home_option, print_safe, snapshot
from tuitrain.cli.plot import size_options
from tuitrain.core.errors import Refused, WrongUse
from tuitrain.core.safe import safe

if TYPE_CHECKING:
    from tuitrain.connection.client import Client
    from tuitrain.store.reader import RunReader
    from tuitrain.view.chart.compare import Compared
    from tuitrain.view.chart.multiples import Chart
    from tuitrain.view.chart.plot import ChartOptions
    from tuitrain.view.picture import Picture
    from tuitrain.view.state.metrics import ComparableMetric

_HEIGHT = 12
_BESIDE = 40
"""Least width, in cells, of a chart in a row of several."""


@click.command(
    epilog="""\b
Examples:
  tuitrain compare a b
  tuitrain compare a b c --metric accuracy --height 20
  tuitrain compare a b --json"""
)
@click.argument("runs", nargs=-1, metavar="RUN RUN...")
@click.option(
    "--metric", metavar="NAME", help="One metric, loss or series alone, in one wide chart."
)
@click.option("--json", "as_json", is_flag=True, help="For programs: strict JSON, without charts.")
@size_options(_HEIGHT)
@home_option
@click.pass_context
def compare(
    ctx: click.Context,
    runs: tuple[str, ...],
    metric: str | None,
    *,
    as_json: bool,
    width: int | None,
    height: int,
) -> int:
    """Print runs over each other, and tables of how they differ.

    The curves are by epoch: the metrics and, if all runs are of one kind of problem, the losses
    that all have evaluated. These are comparable, whatever loss a run is trained with. Where the
    runs have none in common, what two of them share is shown, and which run lacks it.
    """
    from tuitrain.view.chart import compare as view
    from tuitrain.view.chart.compare_series import shared_series
    from tuitrain.view.chart.shared_metrics import nothing_shared, shared
    from tuitrain.view.state.metrics import named

    clients = _clients(ctx, runs)
    records = [client.record for client in clients]
    snapshots = [snapshot(client) for client in clients]
    common, series = shared(snapshots), shared_series(snapshots)
    if not common and metric not in series:
        raise Refused(nothing_shared(snapshots))
    aliases = snapshots[0].problem.aliases
    chosen = None if metric is None else named(metric, common, series, aliases)
    cells = width or shutil.get_terminal_size().columns
    compared = view.read_all(snapshots, records, points=2 * cells)
    if isinstance(chosen, str):
        comparison = _of_series(compared, records, chosen, cells)
    else:
        comparison = _of_metrics(compared, [chosen] if chosen else common, cells)
    if as_json:
        click.echo(json.dumps(comparison.as_json, indent=1))
    else:
        _print(compared, comparison, cells, height)
    return 0


class _Comparison(NamedTuple):
    """The charts and the table of a comparison."""

    charts: list[Chart]
    options: ChartOptions
    x: str
    """The x axis of the charts: epoch or step."""
    title: str
    table: Picture
    as_json: dict[str, Any]


def _of_metrics(
    compared: list[Compared], comparable_metrics: list[ComparableMetric], width: int
) -> _Comparison:
    from tuitrain.view.chart import compare as view

    return _Comparison(
        view.charts(compared, comparable_metrics),
        view.options_for([entry.run for entry in compared]),
        "epoch",
        view.results_title(compared, width),
        view.results_table(compared, comparable_metrics, width),
        view.as_json(compared, comparable_metrics),
    )


def _of_series(
    compared: list[Compared], records: list[RunReader], name: str, width: int
) -> _Comparison:
    from tuitrain.view.chart import compare as view
    from tuitrain.view.chart import compare_series as series

    runs = [entry.run for entry in compared]
    by_epoch = series.is_by_epoch(runs)
    return _Comparison(
        [series.series_chart(compared, records, name, points=2 * width)],
        view.options_for(runs) if by_epoch else series.options_by_step(runs),
        "epoch" if by_epoch else "step",
        "how it went: last, lowest and highest",
        series.series_table(compared, name, width),
        {**view.as_json(compared, []), "series": [series.series_json(compared, name)]},
    )


def _clients(ctx: click.Context, runs: tuple[str, ...]) -> list[Client]:
    from tuitrain.view.chart.compare import SIGNS

    if len(runs) < 2:
        given = f", not {safe(runs[0])} alone" if runs else ""
        raise WrongUse(f"compare takes two runs or more{given}; tuitrain ls lists what there is")
    if len(runs) > len(SIGNS):
        raise WrongUse(f"compare takes {len(SIGNS)} runs at most, not {len(runs)}")
    clients = [find_run(ctx, run) for run in runs]
    for client in clients:
        if [other.paths for other in clients].count(client.paths) > 1:
            raise WrongUse(f"{client.name} is named twice; compare it with another run")
    return clients


def _print(compared: list[Compared], comparison: _Comparison, width: int, height: int) -> None:
    from tuitrain.cli.colour import say
    from tuitrain.view.chart import compare as view
    from tuitrain.view.chart.multiples import grid

    across = max(1, min(len(comparison.charts), width // _BESIDE))
    lines = height * -(-len(comparison.charts) // across)
    say(view.legend(compared, width))
    print_safe("", f"by {comparison.x}")
    options, least_width = comparison.options, width // across
    say(grid(comparison.charts, width, lines, options=options, least_width=least_width))
    print_safe("", "what differs")
    say(view.settings_table(compared, width))
    print_safe("", comparison.title)
    say(comparison.table)
