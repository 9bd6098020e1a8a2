"""tuitrain replay"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from tuitrain.cli import complete
from tuitrain.cli.common import find_run, home_of, home_option, print_safe
from tuitrain.cli.options import RunCommand, run_arguments, run_options
from tuitrain.cli.start import go
from tuitrain.core.errors import DamagedRecord, TuitrainError, WrongUse
from tuitrain.core.safe import safe
from tuitrain.core.watched import check_not_watched


@click.command(
    cls=RunCommand,
    epilog="""\b
Examples:
  tuitrain replay a                      train it again, to the same weights
  tuitrain replay a --until 500          as far as step 500
  tuitrain replay a --without 18eb5b5f   without a change that show a lists
  tuitrain replay a --as-config a.toml   as a file for tuitrain run --config""",
)
@click.argument("run", shell_complete=complete.trained_runs)
@run_options("replay")
@home_option
@click.pass_context
def replay(ctx: click.Context, /, run: str, **options: Any) -> int:
    """Train RUN again, with its changes, to the same weights.

    A new run repeats the lineage, without what was undone, up to the last checkpoint, and compares
    the final weights with those of RUN. By default it is named RUN-replay.
    """
    from tuitrain.trainer import supervisor

    asked, paths, home = run_arguments(ctx, options), find_run(ctx, run).paths, home_of(ctx)
    check_not_watched(paths.read_spec(), paths.name, "replayed")
    until, without = asked.settings.get("until"), asked.settings.get("without", ())
    try:
        spec = supervisor.replay_spec(paths, until, without)
    except DamagedRecord:
        raise  # its message names the run
    except TuitrainError as error:
        raise type(error)(f"{paths.name}: {error}") from None
    if file := asked.settings.get("as_config"):
        from tuitrain.core.config import as_config
        from tuitrain.store.named_code import with_paths

        _write(Path(file), as_config(with_paths(spec, paths.code)))
        return 0
    return go(
        lambda owned: supervisor.replay(home, paths, spec, asked.name, owned=owned), **asked.display
    )


def _write(path: Path, text: str) -> None:
    from tuitrain.export.files import missing_folder, output_at

    if os.path.lexists(path):
        raise WrongUse(f"{safe(path)} is there already; choose another file")
    if not path.parent.is_dir():
        raise missing_folder(path)
    with output_at(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print_safe(f"tuitrain run --config {safe(path)} trains it")
