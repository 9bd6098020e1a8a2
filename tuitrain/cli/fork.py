"""tuitrain fork"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tuitrain.cli import complete
from tuitrain.cli.common import find, home_of, home_option, tell
from tuitrain.cli.start import go, going_options
from tuitrain.cli.train import asked_for, spec_options
from tuitrain.core.commands import Epoch, read_epoch
from tuitrain.core.safe import safe

if TYPE_CHECKING:
    from tuitrain.store.paths import RunPaths


@click.command(
    epilog="""\b
Examples:
  tuitrain fork a --epoch 10 --loss l1          the same until epoch 10, then another loss
  tuitrain fork a --epoch best --lr 0.0001      from the best epoch, to tune it further
  tuitrain fork a --epoch 0 --lr 0.01 --name b  from the same first weights"""
)
@click.argument("run", shell_complete=complete.runs)
@click.option(
    "--epoch",
    type=read_epoch,
    metavar="N|best",
    required=True,
    help="Go on from the checkpoint at the end of this epoch.",
)
@spec_options
@going_options
@home_option
@click.pass_context
def fork(ctx: click.Context, /, run: str, epoch: Epoch, config: Path | None, **options: Any) -> int:
    """Start a new run from a checkpoint of RUN, with any option changed.

    It has the settings that RUN had at that moment, but for those that are given here; its chart
    shows RUN behind it. Data and model stay.
    """
    from tuitrain import supervisor

    asked = asked_for(ctx, options, config)
    parent, home = find(ctx, run).paths, home_of(ctx)
    if epoch == "best":
        _say_which(parent)
    return go(
        lambda owned: supervisor.fork(home, parent, epoch, asked.settings, asked.name, owned=owned),
        **asked.ways,
    )


def _say_which(parent: RunPaths) -> None:
    """Say which epoch is the best; where there is none, the fork is refused."""
    from tuitrain.export.line import Line

    saved, says = Line.read(parent).best_checkpoint
    if saved is not None:
        tell(f"goes on from epoch {saved.epoch} of {safe(parent.name)}, {says}", err=True)


for _option in fork.params:  # what is not given stays as the parent had it
    if isinstance(_option, click.Option) and _option.help:
        _option.help = _option.help.partition("  [")[0]
