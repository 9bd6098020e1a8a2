"""tuitrain resume"""

from __future__ import annotations

from typing import Any

import click

from tuitrain.cli import complete
from tuitrain.cli.common import find, home_option, tell
from tuitrain.cli.start import go, going_options
from tuitrain.core.commands import Change, Setting


@click.command(
    epilog="""\b
Examples:
  tuitrain resume a                 after a stop or a crash
  tuitrain resume a --epochs 80     past its end
  tuitrain resume a --batch-size 32 with less memory"""
)
@click.argument("run", shell_complete=complete.ended_runs)
@click.option("--epochs", type=int, metavar="N", help="Train to so many epochs in all.")
@click.option("--batch-size", type=int, metavar="N", help="Samples a step, from an epoch on.")
@going_options
@home_option
@click.pass_context
def resume(
    ctx: click.Context,
    /,
    run: str,
    *,
    epochs: int | None,
    batch_size: int | None,
    **ways: Any,
) -> int:
    """Go on with RUN after a stop or a crash, or past its end with more --epochs.

    It goes on from its newest sound checkpoint; what was trained after that is trained again, with
    the changes that were made, to the same weights.
    """
    from tuitrain import supervisor
    from tuitrain.core.safe import safe
    from tuitrain.store.answered import Answered, missing_words
    from tuitrain.store.reader import RunReader

    settings: dict[Setting, int | None] = {"epochs": epochs, "batch-size": batch_size}
    for setting, value in settings.items():
        if value is not None:
            Change(setting, value)  # what cannot be is wrong use, whatever the run
    paths = find(ctx, run).paths
    answered = Answered.read(paths.answered)  # before the record, which is written first
    if why := answered.why_not(RunReader(paths.record).rows()):
        tell(f"tuitrain: {safe(paths.name)}: {missing_words(why)}", err=True)
    return go(
        lambda owned: supervisor.resume(paths, epochs=epochs, batch_size=batch_size, owned=owned),
        **ways,
    )
