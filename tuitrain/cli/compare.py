"""tuitrain compare"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import click

from tuitrain.cli.common import find, home_option, snapshot, tell
from tuitrain.cli.plot import size_options
from tuitrain.core.errors import Refused, WrongUse

if TYPE_CHECKING:
    from tuitrain.client import Client
    from tuitrain.view.compare import Compared
    from tuitrain.view.measures import Measure

_HEIGHT = 12
_BESIDE = 40
"""Cells of a chart that stands beside another."""


@click.command(
    epilog="""\b
Examples:
  tuitrain compare a b
  tuitrain compare a b c --metric accuracy --height 20
  tuitrain compare a b --json"""
)
@click.argument("runs", nargs=-1, metavar="RUN RUN...")
@click.option("--metric", metavar="NAME", help="One metric or loss alone, in one wide chart.")
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
    """Print runs over each other, by epoch, with a table of what differs and how they did.

    Shown are the metrics and, where all runs are of one kind of problem, what each loss makes of
    their validations: these compare, whatever loss a run is trained with.
    """
    from tuitrain.view import compare as view
    from tuitrain.view.measures import named

    clients = _clients(ctx, runs)
    found = [snapshot(client) for client in clients]
    common = view.shared(found)
    if not common:
        raise Refused(view.nothing_shared(found))
    measures = [named(metric, common)] if metric else common
    cells = width or shutil.get_terminal_size().columns
    compared = view.read_all(found, clients, points=2 * cells)
    if as_json:
        click.echo(json.dumps(view.as_json(compared, measures), indent=1))
    else:
        _print(compared, measures, cells, height)
    return 0


def _clients(ctx: click.Context, runs: tuple[str, ...]) -> list[Client]:
    from tuitrain.view.compare import SIGNS

    if len(runs) < 2:
        raise WrongUse("compare takes two runs or more; tuitrain ls lists what there is")
    if len(runs) > len(SIGNS):
        raise WrongUse(f"compare takes {len(SIGNS)} runs at most, not {len(runs)}")
    clients = [find(ctx, run) for run in runs]
    for client in clients:
        if [each.paths for each in clients].count(client.paths) > 1:
            raise WrongUse(f"{client.name} is named twice; compare it with another run")
    return clients


def _print(compared: list[Compared], measures: list[Measure], width: int, height: int) -> None:
    from tuitrain.cli.colour import say
    from tuitrain.view import compare as view
    from tuitrain.view.multiples import grid

    charts = view.charts(compared, measures)
    across = max(1, min(len(charts), width // _BESIDE))
    lines = height * -(-len(charts) // across)
    options = view.options_for([each.run for each in compared])
    say(view.legend(compared, width))
    tell("", "by epoch")
    say(grid(charts, width, lines, options=options, least_width=width // across))
    tell("", "what differs")
    say(view.settings_table(compared, width))
    tell("", "how they did: last, and best @ epoch; ★ is the better one")
    say(view.results_table(compared, measures, width))
