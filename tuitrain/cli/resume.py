"""tuitrain resume"""

from __future__ import annotations

import click

from tuitrain.cli import complete
from tuitrain.cli.common import find, home_option
from tuitrain.cli.start import go, going_options
from tuitrain.core.errors import WrongUse


@click.command(
    epilog="""\b
Examples:
  tuitrain resume a                 after a stop or a crash
  tuitrain resume a --epochs 80     past its end"""
)
@click.argument("run", shell_complete=complete.ended_runs)
@click.option("--epochs", type=int, metavar="N", help="Train to so many epochs in all.")
@going_options
@home_option
@click.pass_context
def resume(
    ctx: click.Context,
    run: str,
    epochs: int | None,
    *,
    detach: bool,
    plain: bool,
    log_interval: int,
) -> int:
    """Go on with RUN after a stop or a crash, or past its end with more --epochs.

    It goes on from its newest sound checkpoint; what was trained after that is trained again, with
    the changes that were made, to the same weights.
    """
    from tuitrain import supervisor

    if epochs is not None and epochs < 1:
        raise WrongUse(f"epochs takes a whole number of epochs from 1, not {epochs}")
    paths = find(ctx, run).paths
    return go(
        lambda owned: supervisor.resume(paths, epochs=epochs, owned=owned),
        detach=detach, plain=plain, log_interval=log_interval,
    )  # fmt: skip
