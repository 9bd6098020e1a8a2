"""tuitrain plot"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tuitrain.cli import complete
from tuitrain.cli.common import find_run, home_option, print_safe, snapshot
from tuitrain.cli.options import Value
from tuitrain.core.errors import Refused, WrongUse
from tuitrain.core.options import RunOption
from tuitrain.core.values import Integer, Number, OneOf

if TYPE_CHECKING:
    from tuitrain.view.chart.chart_view import ChartView, Window
    from tuitrain.view.chart.curves import Curves
    from tuitrain.view.chart.x_axis import XMap
    from tuitrain.view.state.snapshot import Snapshot

_HEIGHT = 20
_LINES = RunOption("height", Integer(2, 500), "Lines of a chart.")
_CELLS = RunOption("width", Integer(20, 1000), "Cells.")
"""Fewer do not hold a chart with numbers beside it."""
_UNIT = RunOption("x", OneOf("step", "epoch", "samples", "time"), "Unit of the x axis.")
_FIRST = RunOption("from", Number(can_be_zero=True), "Where the x axis begins.")
_LAST = RunOption("to", Number(), "Where the x axis ends.")
_SMOOTH = RunOption("smooth", Number(can_be_zero=True), "Half-life in steps.")

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
  tuitrain plot a --x epoch --from 10 --to 20
  tuitrain plot a --x time --smooth 200 --log-y
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
@click.option(
    "--x",
    "unit",
    type=Value(_UNIT),
    default="step",
    metavar="UNIT",
    help="X axis: step, epoch, samples or time (without pauses).  [step]",
)
@click.option(
    "--from",
    "first",
    type=Value(_FIRST),
    metavar="X",
    help="Where the x axis begins, in its unit (time: in seconds).",
)
@click.option("--to", "last", type=Value(_LAST), metavar="X", help="Where it ends.")
@click.option(
    "--log-y/--no-log-y",
    default=None,
    help="Logarithmic y axis, or linear.  [logarithmic over two decades]",
)
@click.option(
    "--smooth",
    type=Value(_SMOOTH),
    metavar="N",
    help="Half-life of the smoothed losses in steps; 0: none.  [1 % of the axis]",
)
@click.option("--outliers", is_flag=True, help="Y axis with all outliers, however flat the rest.")
@size_options(_HEIGHT)
@home_option
@click.pass_context
def plot(
    ctx: click.Context, /, run: str | None, metric: str | None, *, width: int | None, height: int,
    **look: Any,
) -> int:  # fmt: skip
    """Print the loss chart of RUN to stdout, without the app. Default: the newest.

    With --metric, the chart of one number that stays comparable when the loss is swapped, or of a
    series: lr, gradient-norm, trainer-memory, ... (show --json lists them).
    """
    from tuitrain.cli.colour import has_colour, say
    from tuitrain.connection.parent import curves_of
    from tuitrain.view.chart.run_charts import loss_chart, metric_chart, series_chart
    from tuitrain.view.chart.validations import LEGEND
    from tuitrain.view.state.metrics import ComparableMetric, metrics_of, named
    from tuitrain.view.text.report_lines import metric_in_words, series_in_words

    client = find_run(ctx, run)
    shown, curves = snapshot(client), curves_of(client)
    view = _view(shown, curves, look, has_colour=has_colour())
    size = width or shutil.get_terminal_size().columns, height
    series = [summary.series.name for summary in shown.series]
    aliases = shown.problem.aliases
    chosen = None if metric is None else named(metric, metrics_of(shown), series, aliases)
    if chosen is None:
        about, chart = shown.loss, loss_chart(shown, curves, *size, view)
    elif isinstance(chosen, ComparableMetric):
        about = metric_in_words(shown, chosen, curves.best(shown))
        chart = metric_chart(shown, curves, chosen, *size, view)
    else:
        about = series_in_words(shown, chosen)
        chart = series_chart(shown, curves, chosen, *size, view)
    print_safe(f"{shown.title}: {', '.join([shown.task, about, shown.state, *chart.notes])}")
    say(chart.picture)
    if chosen is None and not view.has_colour and shown.last_epoch:
        is_finite = not any("×" in span.text for line in chart.picture for span in line)
        print_safe(LEGEND if is_finite else f"{LEGEND}; ×: not finite")
    if dashed := curves.dashed_in_words(shown):
        print_safe(f"dashed: {dashed}")
    return 0


def _view(run: Snapshot, curves: Curves, look: Mapping[str, Any], *, has_colour: bool) -> ChartView:
    """Return how the options say that a run is looked at."""
    from tuitrain.view.chart.chart_view import ChartView
    from tuitrain.view.chart.x_maps import units_of

    unit = look["unit"]
    if unit not in (units := units_of(run)):
        raise Refused(f"{run.title} has no axis by {unit}: it has {', '.join(units)}")
    return ChartView(
        unit=unit,
        log_y=look["log_y"],
        half_life=look["smooth"],
        full_range=look["outliers"],
        window=_window(run, curves.x_map(run, unit), look["first"], look["last"]),
        has_colour=has_colour,
    )


def _window(run: Snapshot, x: XMap, first: float | None, last: float | None) -> Window | None:
    """Return the steps between two places on the x axis; None where neither is given."""
    from tuitrain.view.chart.chart_view import Window
    from tuitrain.view.chart.live import live_window

    if first is None and last is None:
        return None
    live = live_window(run)
    begin = live.first if first is None else max(live.first, math.floor(x.step(first)))
    end = live.last if last is None else min(live.last, math.ceil(x.step(last)))
    if begin >= end:
        raise WrongUse(
            f"--from must be below --to, and below the end of {run.title}, "
            f"which is {x.x(live.last):.6g} on this axis"
        )
    return Window(begin, end)
