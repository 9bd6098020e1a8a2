"""tuitrain resume"""

from __future__ import annotations

from typing import Any

import click

from tuitrain.cli import complete
from tuitrain.cli.common import find_run, home_option, print_safe, snapshot
from tuitrain.cli.options import RunCommand, run_arguments, run_options
from tuitrain.cli.start import go


@click.command(
    cls=RunCommand,
    epilog="""\b
Examples:
  tuitrain resume a                 after a stop or a crash
  tuitrain resume a --epochs 80     past its end
  tuitrain resume a --epochs 80 --schedule cosine
  tuitrain resume a --batch-size 32 with less memory
  tuitrain resume a --nproc 4       on four devices""",
)
@click.argument("run", shell_complete=complete.resumable_runs)
@run_options("resume")
@home_option
@click.pass_context
def resume(ctx: click.Context, /, run: str, **options: Any) -> int:
    """Go on with RUN after a stop or a crash, or past its end.

    Past its end it needs more --epochs. It goes on from its newest sound checkpoint; what was
    trained after that is trained again, with the changes that were made, to the same weights.
    Another --batch-size or --nproc begins with an epoch. A --schedule begins where the run goes on,
    at the learning rate that is set: constant keeps it, cosine and linear decay from it to 0 at the
    end of the last epoch.
    """
    from tuitrain.trainer import supervisor
    from tuitrain.view.text.resumption import rate_jump

    asked = run_arguments(ctx, options)
    client = find_run(ctx, run)
    paths = client.paths
    epochs, schedule = asked.settings.get("epochs"), asked.settings.get("lr_schedule")
    if (epochs or schedule) and (jump := rate_jump(snapshot(client), epochs, schedule)):
        choose = "" if schedule else "; --schedule begins another here"
        print_safe(f"tuitrain: {jump}{choose}", err=True)
    return go(
        lambda owned: supervisor.resume(paths, **asked.settings, owned=owned), **asked.display
    )
