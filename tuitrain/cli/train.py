"""tuitrain run"""

from __future__ import annotations

from typing import Any

import click

from tuitrain.catalog import new_spec
from tuitrain.catalog.table import check_table
from tuitrain.cli import complete
from tuitrain.cli.common import home_of, home_option
from tuitrain.cli.options import RunCommand, run_arguments, run_options
from tuitrain.cli.start import go


@click.command(
    cls=RunCommand,
    epilog="""\b
Examples:
  tuitrain run                               train digits and watch
  tuitrain run digits --model cnn --pace 30  slowly enough to follow
  tuitrain run digits --epochs 20 --plain    lines on stdout, no app
  tuitrain run digits --detach --name a      and later: tuitrain attach a
  tuitrain run houses.csv --target price     a table of your own
  tuitrain run photos/ --augment flip,crop   a folder of images a class
  tuitrain run task.py --loss focal          a task in a Python file
  tuitrain run --config a.toml --lr 0.01     a file, but for the lr""",
)
@click.argument("task", required=False, shell_complete=complete.named("task"))
@run_options("run")
@home_option
@click.pass_context
def run(ctx: click.Context, /, **options: Any) -> int:
    """Start a run of TASK (default: digits) and watch it.

    TASK is a built-in task (tuitrain tasks lists them), a table, a folder of images, or a Python
    file with a tuitrain.Task.
    """
    from tuitrain.trainer import hosts, supervisor

    asked = run_arguments(ctx, options)
    node_rank = asked.settings.pop("node_rank", 0)
    spec, home = new_spec(**asked.settings), home_of(ctx)
    hosts.check_hosts(spec, node_rank)
    if node_rank:
        hosts.join(spec)
    check_table(spec)
    return go(lambda owned: supervisor.start(home, spec, asked.name, owned=owned), **asked.display)
