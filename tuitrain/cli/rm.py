"""tuitrain rm"""

from __future__ import annotations

import click

from tuitrain.cli import complete
from tuitrain.cli.common import find, home_option
from tuitrain.core.errors import RunLocked
from tuitrain.core.safe import safe
from tuitrain.store import lock


@click.command(epilog="\b\nExample:\n  tuitrain rm a b --yes")
@click.argument(
    "runs", nargs=-1, required=True, metavar="RUN...", shell_complete=complete.ended_runs
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@home_option
@click.pass_context
def rm(ctx: click.Context, runs: tuple[str, ...], yes: bool) -> int:  # noqa: FBT001 - click's way
    """Delete runs that are not going: record, checkpoints and all. Asks first."""
    from tuitrain import supervisor

    found = [find(ctx, run).paths for run in runs]
    for paths in found:
        if lock.is_held(paths.lock):
            raise RunLocked(f"{paths.name} is going; tuitrain ctl {paths.name} stop ends it")
    names = ", ".join(safe(paths.name) for paths in found)
    if not yes and not click.confirm(f"Delete {names} for good?"):
        return 0
    for paths in found:
        supervisor.delete(paths)
    click.echo(f"deleted {names}")
    return 0
