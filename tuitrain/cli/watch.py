"""tuitrain watch"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from tuitrain.cli import complete
from tuitrain.cli.common import has_terminal, home_of, home_option
from tuitrain.cli.options import run_option, was_given
from tuitrain.core.errors import WrongUse
from tuitrain.core.safe import safe
from tuitrain.core.values import OneOf

if TYPE_CHECKING:
    from tuitrain.core.spec import RunSpec


@click.command(
    context_settings={"allow_interspersed_args": False},
    epilog="""\b
Examples:
  tuitrain watch train.py                      run it, and show it in the app
  tuitrain watch train.py --epochs 10          with arguments of its own
  tuitrain watch --name a --detach train.py    in the background
  tuitrain watch --plain train.py              with its output and exit code
  tuitrain watch --nproc 2 train.py            in two processes
  tuitrain watch -m package.train --lr 0.1     a module, as python -m""",
)
@click.argument("script", shell_complete=complete.files)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@click.option("-m", "is_module", is_flag=True, help="SCRIPT is a module, as with python -m.")
@run_option("name", default_says="script and time")
@run_option("loss", help="Swap the loss from the first step on.", default_says="")
@run_option("kind", help="The kind of problem, where its loss does not tell.", default_says="")
@run_option(
    "on_nonfinite",
    type=OneOf("alert", "pause", "stop", "skip"),
    default="alert",
    help="Reaction to a nonfinite loss or gradient; all but alert leave out such a step.",
)
@run_option("paused", help="Pause after the first step.")
@run_option("pace", help="At most N steps a second.", default_says="")
@run_option(
    "nproc",
    help="Processes that run it, as torchrun starts them; auto: one for each GPU, or processor.",
)
@run_option("notify", help="Command to run when it finishes, fails or pauses.")
@run_option("detach")
@run_option("plain", help="No app: its own output and exit code.")
@home_option
@click.pass_context
def watch(ctx: click.Context, /, script: str, args: tuple[str, ...], **options: Any) -> int:
    """Run a PyTorch script unchanged, and steer it.

    Not a line of it is changed. Options of tuitrain come before SCRIPT, its own after it. What can
    be seen and steered stands in docs/watch.md.
    """
    from tuitrain.catalog import loss_text
    from tuitrain.cli.start import go
    from tuitrain.core.ranks import count_of
    from tuitrain.core.spec import RunSpec, check_name
    from tuitrain.trainer import supervisor
    from tuitrain.trainer.notify import command_words

    name = options["name"] and check_name(options["name"])
    _check_is_there(script, is_module=options["is_module"])
    command = ("-m", script, *args) if options["is_module"] else (script, *args)
    spec = RunSpec(
        task=script, model="", loss=loss_text(options["loss"]) if options["loss"] else "",
        optimizer="", lr=0.0, batch_size=0,
        epochs=0, seed=0, kind=options["kind"], on_nonfinite=options["on_nonfinite"] or "alert",
        paused=options["paused"], watched=command, pace=options["pace"], nproc=_nproc(ctx, options),
    )  # fmt: skip
    notified = command_words(options["notify"])
    if count_of(os.environ) > 1:
        _be_one_of_many(home_of(ctx), spec, name, options)
    home, detach, plain = home_of(ctx), options["detach"], options["plain"]
    if detach and plain:
        raise WrongUse("--plain has the script's output and --detach lets it go: choose one")
    if plain or not (detach or has_terminal()):
        supervisor.watch_here(home, spec, name, notified=notified)
    return go(
        lambda _: supervisor.watch(home, spec, name),
        detach=detach, plain=False, log_interval=100, notify=options["notify"],
    )  # fmt: skip


def _check_is_there(script: str, *, is_module: bool) -> None:
    """Raise WrongUse for a script that is not there, or a module; none of its code is run."""
    if is_module:
        sys.path.insert(0, "")  # the working folder, as the script has it
        try:
            is_there = find_spec(script.partition(".")[0]) is not None
        except ValueError:  # as of a name that is empty
            is_there = False
        finally:
            del sys.path[0]
        if not is_there:
            raise WrongUse(f"there is no module {safe(script)}; tuitrain watch -m MODULE [ARGS...]")
    elif Path(script).is_dir():
        raise WrongUse(f"{safe(script)} is a folder; tuitrain watch -m MODULE runs a package")
    elif not Path(script).is_file():
        raise WrongUse(f"there is no file {safe(script)}; tuitrain watch SCRIPT [ARGS...]")


def _nproc(ctx: click.Context, options: Mapping[str, Any]) -> int | None:
    """Return the number of processes; None: one for each GPU, or processor."""
    is_auto = options["nproc"] is None and was_given(ctx, "nproc")
    return None if is_auto else options["nproc"] or 1


def _be_one_of_many(
    home: Path, spec: RunSpec, name: str | None, options: Mapping[str, Any]
) -> NoReturn:
    """Become the script on one of the ranks that torchrun started, with the output it gave it."""
    from tuitrain.core.ranks import rank_of
    from tuitrain.trainer import supervisor
    from tuitrain.trainer.notify import command_words

    if spec.is_distributed:
        raise WrongUse("--nproc starts the processes, and torchrun has started them: choose one")
    if options["detach"]:
        raise WrongUse("--detach is not for torchrun, which waits for its processes")
    if rank_of(os.environ):
        supervisor.follow_here(spec)
    spec = replace(spec, in_torchrun=True)
    supervisor.watch_here(home, spec, name, notified=command_words(options["notify"]))
