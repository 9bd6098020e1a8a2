"""tuitrain attach"""

from __future__ import annotations

import click

from tuitrain.cli import complete
from tuitrain.cli.common import find_run, has_terminal, home_of, home_option, snapshot


@click.command(
    epilog="""\b
Examples:
  tuitrain attach        the newest run
  tuitrain attach dig    the run whose name alone begins so"""
)
@click.argument("run", required=False, shell_complete=complete.runs)
@home_option
@click.pass_context
def attach(ctx: click.Context, run: str | None) -> int:
    """Watch and steer RUN from any terminal, any number at once. Default: the newest."""
    client = find_run(ctx, run)
    snapshot(client)  # report a read error before the app takes the terminal
    if has_terminal():
        from tuitrain.cli.start import watch

        return watch(client.paths, home=home_of(ctx))
    from tuitrain.cli.plain import follow

    follow(client, every=100)
    return 0
