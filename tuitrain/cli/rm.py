"""tuitrain rm"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from tuitrain.cli import complete
from tuitrain.cli.common import find_run, home_option, print_safe
from tuitrain.core.safe import safe

if TYPE_CHECKING:
    from tuitrain.store.paths import RunPaths


@click.command(epilog="\b\nExample:\n  tuitrain rm a b --yes")
@click.argument(
    "runs", nargs=-1, required=True, metavar="RUN...", shell_complete=complete.ended_runs
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@home_option
@click.pass_context
def rm(ctx: click.Context, runs: tuple[str, ...], yes: bool) -> int:
    """Delete finished runs: record, checkpoints and all. Asks first."""
    from tuitrain.trainer import supervisor

    all_paths = _distinct(find_run(ctx, run).paths for run in runs)
    for paths in all_paths:
        supervisor.check_idle(paths)
    if not yes and not _confirmed(all_paths):
        return 0
    deleted = []
    try:
        for paths in all_paths:
            shown = _shown(paths)
            supervisor.delete(paths)
            deleted.append(shown)
    finally:
        if deleted:
            print_safe(f"deleted {', '.join(deleted)}")
    return 0


def _confirmed(all_paths: Iterable[RunPaths]) -> bool:
    try:
        return click.confirm(f"Delete {', '.join(map(_shown, all_paths))} for good?")
    except click.Abort as error:
        if isinstance(error.__context__, EOFError):
            print_safe("")
            print_safe("tuitrain: no answer: nothing is deleted; --yes does not ask", err=True)
        raise


def _distinct(runs: Iterable[RunPaths]) -> list[RunPaths]:
    """Return the runs without repeated directories; a link differs from its target."""
    return list({paths.directory.parent.resolve() / paths.name: paths for paths in runs}.values())


def _shown(paths: RunPaths) -> str:
    if not paths.directory.is_symlink():
        return safe(paths.name)
    return f"{safe(paths.name)} (the link; the run stays in {safe(paths.directory.resolve())})"
