"""tuitrain run"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from tuitrain.cli import complete
from tuitrain.cli.common import home_of, home_option
from tuitrain.cli.start import go, going_options
from tuitrain.core.safe import safe
from tuitrain.core.spec import WAYS


class _Pace(click.ParamType[Any]):
    name = "N|off"

    def convert(self, value: Any, param: Any, ctx: Any) -> float | None:
        if value == "off" or value is None:
            return None
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number of batches a second nor off", param, ctx)


class _Folder(click.ParamType[Any]):
    name = "folder"

    def shell_complete(self, _ctx: Any, _param: Any, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="dir")]

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        path = Path(value).expanduser().absolute()
        if not path.is_dir():
            self.fail(f"there is no folder {safe(value)}", param, ctx)
        return str(path)


class _File(click.ParamType[Any]):
    name = "file"

    def shell_complete(self, _ctx: Any, _param: Any, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        path = Path(value).expanduser()
        if not path.is_file():
            self.fail(f"there is no file {safe(value)}", param, ctx)
        return path


def spec_options(command: Any) -> Any:
    """Give a command that makes a run the options that say what to train."""
    for option in reversed(
        (
            click.option(
                "--loss",
                metavar="NAME",
                shell_complete=complete.named("loss"),
                help="The loss to begin with.  [by the task]",
            ),
            click.option(
                "--model",
                metavar="NAME[:...]",
                shell_complete=complete.named("model"),
                help="linear, mlp or cnn.  [by the task]",
            ),
            click.option(
                "--optimizer",
                metavar="NAME[:...]",
                shell_complete=complete.named("optimizer"),
                help="adam, adamw or sgd.  [adam]",
            ),
            click.option("--lr", type=float, metavar="X", help="Learning rate.  [0.001]"),
            click.option("--batch-size", type=int, metavar="N", help="Samples a step.  [64]"),
            click.option(
                "--epochs", type=int, metavar="N", help="Passes over the data.  [by the task]"
            ),
            click.option("--seed", type=int, metavar="N", help="Decides weights and order.  [0]"),
            click.option(
                "--device",
                metavar="NAME",
                shell_complete=complete.devices,
                help="auto, cpu, cuda, cuda:N or mps.  [auto]",
            ),
            click.option("--name", metavar="NAME", help="The run's name.  [task and time]"),
            click.option(
                "--paused", is_flag=True, default=None, help="Wait before the first batch."
            ),
            click.option(
                "--patience",
                type=int,
                metavar="N",
                help="End when the validation loss has not improved for N epochs.",
            ),
            click.option(
                "--on-nonfinite",
                metavar="pause|stop|skip",
                shell_complete=complete.ways_to_meet_bad_numbers,
                help="When a loss or gradient is not finite.  [pause]",
            ),
            click.option(
                "--data", type=_Folder(), metavar="PATH", help="Folder that has the task's data."
            ),
            click.option(
                "--init-from",
                metavar="RUN|FILE",
                shell_complete=complete.runs_or_files,
                help="Begin with the weights of a run or file.",
            ),
            click.option(
                "--pace",
                type=_Pace(),
                help="At most N batches a second; changes no weights.  [off]",
            ),
            click.option(
                "--config",
                type=_File(),
                metavar="FILE.toml",
                help="The same keys from a file; the command line wins.",
            ),
        )
    ):
        command = option(command)
    return command


@click.command(
    epilog="""\b
Examples:
  tuitrain run                                train digits and watch
  tuitrain run digits --model cnn --pace 30   slowly enough to follow
  tuitrain run digits --epochs 20 --plain     lines on stdout, no app
  tuitrain run digits --detach --name a       in the background: tuitrain attach a
  tuitrain run --config digits.toml --lr 0.01 from a file, but for the learning rate"""
)
@click.argument("task", required=False, shell_complete=complete.named("task"))
@spec_options
@going_options
@home_option
@click.pass_context
def run(ctx: click.Context, /, task: str | None, config: Path | None, **options: Any) -> int:
    """Start a run of TASK (digits, unless told otherwise) and watch it.

    tuitrain tasks lists the tasks.
    """
    from tuitrain import supervisor
    from tuitrain.core.spec import RunSpec

    asked = asked_for(ctx, {"task": task, **options}, config)
    spec, home = RunSpec.of(**asked.settings), home_of(ctx)
    return go(lambda owned: supervisor.start(home, spec, asked.name, owned=owned), **asked.ways)


class Asked(NamedTuple):
    """What file and command line ask for."""

    name: str | None
    settings: dict[str, Any]
    """Of `RunSpec.of`; None is off."""
    ways: dict[str, Any]
    """How it is watched."""


def asked_for(ctx: click.Context, options: dict[str, Any], config: Path | None) -> Asked:
    """Return what a file asks for, and over it the command line."""
    from tuitrain.core.config import read_config
    from tuitrain.core.spec import check_name
    from tuitrain.store.initial import weights_file

    given = {key: value for key, value in options.items() if _is_given(ctx, key)}
    asked = {key: options[key] for key in WAYS} | (read_config(config) if config else {}) | given
    ways = {key: asked.pop(key) for key in WAYS}
    name = asked.pop("name", None)
    if name is not None:
        check_name(name)
    if isinstance(folder := asked.get("data"), str):
        asked["data"] = _Folder().convert(folder, None, ctx)
    if isinstance(weights := asked.get("init_from"), str):
        asked["init_from"] = str(weights_file(home_of(ctx), weights))
    return Asked(name, asked, ways)


def _is_given(ctx: click.Context, option: str) -> bool:
    """Return whether the command line has it: `--pace off` wins over a file's pace, too."""
    return ctx.get_parameter_source(option) is ParameterSource.COMMANDLINE
