"""tuitrain rm"""

from __future__ import annotations

import os
import shutil

import click

from tuitrain.cli.common import find, home_option
from tuitrain.core.errors import RunLocked
from tuitrain.store import lock
from tuitrain.store.paths import RunPaths


@click.command(epilog="\b\nExample:\n  tuitrain rm a b --yes")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--yes", is_flag=True, help="Do not ask.")
@home_option
@click.pass_context
def rm(ctx: click.Context, runs: tuple[str, ...], yes: bool) -> int:  # noqa: FBT001 - click's way
    """Delete runs that are not going: record, checkpoints and all. Asks first."""
    found = [find(ctx, run).paths for run in runs]
    for paths in found:
        os.close(_locked(paths))
    names = ", ".join(paths.name for paths in found)
    if not yes and not click.confirm(f"Delete {names} for good?"):
        return 0
    for paths in found:
        descriptor = _locked(paths)  # so that nobody goes on with it meanwhile
        shutil.rmtree(paths.directory)
        os.close(descriptor)
    click.echo(f"deleted {names}")
    return 0


def _locked(paths: RunPaths) -> int:
    try:
        return lock.acquire(paths.lock)
    except RunLocked:
        raise RunLocked(f"{paths.name} is going; tuitrain ctl {paths.name} stop ends it") from None
