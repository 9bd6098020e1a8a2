"""tuitrain replay"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tuitrain.cli import complete
from tuitrain.cli.common import find, home_of, home_option, tell
from tuitrain.cli.start import go, going_options
from tuitrain.core.errors import DamagedRecord, TuitrainError, WrongUse
from tuitrain.core.safe import safe


@click.command(
    epilog="""\b
Examples:
  tuitrain replay a                             train it again, to the same weights
  tuitrain replay a --until 500                 as far as step 500
  tuitrain replay a --without 18eb5b5fe9e1b9c9  what if I had not?  (tuitrain show a: the ids)
  tuitrain replay a --as-config a.toml          as a file for tuitrain run --config"""
)
@click.argument("run", shell_complete=complete.runs)
@click.option("--until", type=int, metavar="STEP", help="End after this step.")
@click.option(
    "--without",
    "leaving_out",
    multiple=True,
    metavar="ID",
    help="Leave a change out, by its id or a beginning of it; may be repeated.",
)
@click.option(
    "--as-config",
    type=click.Path(path_type=Path),
    metavar="FILE.toml",
    help="Train nothing: write settings and changes as a file for run --config.",
)
@click.option("--name", metavar="NAME", help="The new run's name.  [RUN-replay]")
@going_options
@home_option
@click.pass_context
def replay(
    ctx: click.Context,
    /,
    run: str,
    until: int | None,
    leaving_out: tuple[str, ...],
    as_config: Path | None,
    name: str | None,
    **ways: Any,
) -> int:
    """Train RUN again in a new run, unattended, with the changes that were made to it.

    It repeats the current line, without what was undone, up to the last checkpoint, and compares
    the weights at its end with those of RUN.
    """
    from tuitrain import supervisor

    paths, home = find(ctx, run).paths, home_of(ctx)
    try:
        spec = supervisor.replay_spec(paths, until, leaving_out)
    except DamagedRecord:
        raise  # it names the run
    except TuitrainError as error:
        raise type(error)(f"{paths.name}: {error}") from None
    if as_config is not None:
        from tuitrain.core.config import as_config as written

        _write(as_config, written(spec))
        return 0
    return go(lambda owned: supervisor.replay(home, paths, spec, name, owned=owned), **ways)


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise WrongUse(f"{safe(path)} is there already; choose another file") from None
    except OSError as error:
        raise TuitrainError(f"cannot write {safe(path)}: {error.strerror}") from None
    tell(f"tuitrain run --config {safe(path)} trains it")
