"""tuitrain ls, tuitrain show, tuitrain logs"""

from __future__ import annotations

import json
import os
import time

import click

from tuitrain.cli import complete
from tuitrain.cli.common import find_run, home_of, home_option, print_safe, snapshot, unreadable

_LOG_LOOK_S = 0.2

_json_option = click.option("--json", "as_json", is_flag=True, help="For programs: strict JSON.")


@click.command(epilog="\b\nExample:\n  tuitrain ls --json")
@_json_option
@home_option
@click.pass_context
def ls(ctx: click.Context, as_json: bool) -> int:
    """List the runs and their states, newest first."""
    from tuitrain.connection.client import Client
    from tuitrain.store.paths import runs_in
    from tuitrain.view.text import report, report_lines

    all_paths, runs = runs_in(home_of(ctx)), []
    for paths in all_paths:
        try:
            runs.append(snapshot(Client(paths.directory, with_series=as_json)))
        except Exception as error:  # noqa: BLE001 - an unreadable run must not hide the others
            print_safe(f"tuitrain: {unreadable(error, paths.directory)}", err=True)
    if as_json:
        click.echo(json.dumps([report.as_json(run, full=False) for run in runs], indent=1))
    elif runs:
        print_safe(*report_lines.table(runs))
    elif not all_paths:
        print_safe("no runs yet; tuitrain run starts one")
    return 0


@click.command(epilog="\b\nExamples:\n  tuitrain show a\n  tuitrain show a --json")
@click.argument("run", required=False, shell_complete=complete.runs)
@_json_option
@home_option
@click.pass_context
def show(ctx: click.Context, run: str | None, as_json: bool) -> int:
    """Show one run in full: state, numbers, changes, checkpoints. Default: the newest."""
    from tuitrain.connection.confusion import best_confusion
    from tuitrain.connection.silence import why_stopped
    from tuitrain.view.panel.ranks import newest_ranks
    from tuitrain.view.text import report, report_lines

    client = find_run(ctx, run)
    run_snapshot = snapshot(client)
    ranks = newest_ranks(run_snapshot, client.record)
    if not run_snapshot.has_ended and (why := why_stopped(client)):
        print_safe(f"tuitrain: {run_snapshot.title} does not answer: {why}", err=True)
    if as_json:
        click.echo(json.dumps(report.as_json(run_snapshot, full=True, ranks=ranks), indent=1))
    else:
        confusion = best_confusion(client, run_snapshot)
        print_safe(*report_lines.as_lines(run_snapshot, confusion, ranks))
    return 0


@click.command(epilog="\b\nExamples:\n  tuitrain logs a\n  tuitrain logs a -f")
@click.argument("run", required=False, shell_complete=complete.runs)
@click.option("-f", "--follow", is_flag=True, help="Go on until the run ends.")
@home_option
@click.pass_context
def logs(ctx: click.Context, run: str | None, follow: bool) -> int:
    """Print what the trainer and user code printed. Default: the newest run."""
    from tuitrain.core.files import open_plain
    from tuitrain.store import lock
    from tuitrain.store.output import new_lines

    paths = find_run(ctx, run).paths
    with os.fdopen(open_plain(paths.log, os.O_RDONLY), encoding="utf-8", errors="replace") as log:
        while True:
            alive = lock.is_held(paths.lock)  # before reading, so that the last lines are read, too
            for line in new_lines(log):
                print_safe(line.rstrip("\n"))
            if not (follow and alive):
                return 0
            time.sleep(_LOG_LOOK_S)
