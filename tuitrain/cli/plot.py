"""tuitrain plot"""

from __future__ import annotations

import shutil

import click

from tuitrain.cli import complete
from tuitrain.cli.common import find, home_option, snapshot

_HEIGHT = 20


@click.command(epilog="\b\nExample:\n  tuitrain plot a --width 100 --height 24")
@click.argument("run", required=False, shell_complete=complete.runs)
@click.option("--width", type=click.IntRange(1, 1000), metavar="N", help="Cells.  [the terminal's]")
@click.option(
    "--height", type=click.IntRange(1, 500), default=_HEIGHT, show_default=True, metavar="N",
    help="Lines.",
)  # fmt: skip
@home_option
@click.pass_context
def plot(ctx: click.Context, run: str | None, width: int | None, height: int) -> int:
    """Print the loss chart of RUN to stdout, without the app. Default: the newest."""
    from tuitrain.connection.parent import curves_of
    from tuitrain.view.curves import loss_chart
    from tuitrain.view.picture import plain

    client = find(ctx, run)
    found = snapshot(client)
    cells = width or shutil.get_terminal_size().columns
    click.echo(f"{found.title}: {found.spec.task}, {found.loss}, {found.state}")
    click.echo(plain(loss_chart(found, curves_of(client), cells, height)))
    return 0
