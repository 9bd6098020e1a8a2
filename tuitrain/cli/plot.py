"""tuitrain plot"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any, TypeVar

import click

from tuitrain.cli import complete
from tuitrain.cli.common import find_run, home_option, print_safe, snapshot
from tuitrain.cli.options import Value
from tuitrain.core.options import RunOption
from tuitrain.core.values import Whole

_HEIGHT = 20
_LINES = RunOption("height", Whole(2, 500), "Lines of a chart.")
_CELLS = RunOption("width", Whole(20, 1000), "Cells.")
"""Fewer do not hold a chart with numbers beside it."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


def size_options(height: int) -> Callable[[_Command], _Command]:
    """Add the options for the size of a chart."""

    def add(command: _Command) -> _Command:
        command = click.option(
            "--height", type=Value(_LINES), default=height, metavar="N",
            help=f"{_LINES.help}  [{height}]",
        )(command)  # fmt: skip
        return click.option(
            "--width", type=Value(_CELLS), metavar="N", help=f"{_CELLS.help}  [the terminal's]"
        )(command)

    return add


@click.command(
    epilog="""\b
Examples:
  tuitrain plot a --width 100 --height 24
  tuitrain plot a --metric accuracy
  tuitrain plot a --metric mse              mse of each validation
  tuitrain plot a --metric gradient-norm"""
)
@click.argument("run", required=False, shell_complete=complete.runs)
@click.option(
    "--metric",
    metavar="NAME",
    help="A metric, a validation loss, or a series such as lr.",
)
@size_options(_HEIGHT)
@home_option
@click.pass_context
def plot(
    ctx: click.Context, run: str | None, metric: str | None, width: int | None, height: int
) -> int:
    """Print the loss chart of RUN to stdout, without the app. Default: the newest.

    With --metric, the chart of one number that stays comparable when the loss is swapped, or of a
    series: lr, gradient-norm, trainer-memory, ... (show --json lists them).
    """
    from tuitrain.cli.colour import say
    from tuitrain.connection.parent import curves_of
    from tuitrain.view.chart.curves import loss_chart, metric_chart, series_chart
    from tuitrain.view.state.metrics import ComparableMetric, metrics_of, named
    from tuitrain.view.text.report import metric_in_words, series_in_words

    client = find_run(ctx, run)
    run_snapshot, curves = snapshot(client), curves_of(client)
    cells = width or shutil.get_terminal_size().columns
    series = [summary.series.name for summary in run_snapshot.series]
    comparable = metrics_of(run_snapshot)
    chosen = None if metric is None else named(metric, comparable, series)
    if chosen is None:
        about, picture = run_snapshot.loss, loss_chart(run_snapshot, curves, cells, height)
    elif isinstance(chosen, ComparableMetric):
        about = metric_in_words(run_snapshot, chosen, curves.best(run_snapshot))
        picture = metric_chart(run_snapshot, curves, chosen, cells, height)
    else:
        about = series_in_words(run_snapshot, chosen)
        picture = series_chart(run_snapshot, curves, chosen, cells, height)
    print_safe(f"{run_snapshot.title}: {run_snapshot.task}, {about}, {run_snapshot.state}")
    say(picture)
    if dashed := curves.dashed_in_words(run_snapshot):
        print_safe(f"dashed: {dashed}")
    return 0
