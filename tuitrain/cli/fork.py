"""tuitrain fork"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tuitrain.cli import complete
from tuitrain.cli.common import find_run, home_of, home_option, print_safe, snapshot
from tuitrain.cli.options import RunCommand, run_arguments, run_options
from tuitrain.cli.start import go
from tuitrain.core.commands import Epoch, read_epoch

if TYPE_CHECKING:
    from tuitrain.connection.client import Client
    from tuitrain.trainer.supervisor import Started


@click.command(
    cls=RunCommand,
    epilog="""\b
Examples:
  tuitrain fork a --epoch 10 --loss l1      the same until epoch 10, then l1
  tuitrain fork a --epoch best --lr 0.0001  from the best epoch, to tune it
  tuitrain fork a --epoch 0 --lr 0.01       from the same first weights""",
)
@click.argument("run", shell_complete=complete.trained_runs)
@click.option(
    "--epoch",
    type=read_epoch,
    metavar="N|best",
    required=True,
    help="Go on from the checkpoint at the end of this epoch.",
)
@run_options("fork")
@home_option
@click.pass_context
def fork(ctx: click.Context, /, run: str, epoch: Epoch, **options: Any) -> int:
    """Start a run from a checkpoint of RUN, with any option changed.

    Settings that are not given are those of RUN at that epoch; data and model stay the same. The
    chart of the new run shows RUN behind its own curve.
    """
    from tuitrain.trainer import supervisor

    asked = run_arguments(ctx, options)
    parent, home = find_run(ctx, run), home_of(ctx)

    def start(owned: bool) -> Started:
        started = supervisor.fork(
            home, parent.paths, epoch, asked.settings, asked.name, owned=owned
        )
        _say_origin(parent, started, epoch)
        return started

    return go(start, **asked.display)


def _say_origin(parent: Client, fork: Started, epoch: Epoch) -> None:
    """Print the epoch of "best", or that the epoch is not on the lineage of the parent."""
    from tuitrain.export.lineage import RunLineage

    run, origin = snapshot(parent), fork.paths.read_spec().parent
    assert origin is not None
    if epoch == "best":
        _, description = RunLineage.read(parent.paths).best_checkpoint
    elif any(saved.sha256 == origin.sha256 for saved in run.lineage.checkpoints):
        return
    else:
        description = f"as take {origin.take} trained it, which was abandoned"
    print_safe(f"goes on from epoch {origin.epoch:,} of {run.title}, {description}", err=True)
