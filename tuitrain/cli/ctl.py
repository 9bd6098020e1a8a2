"""tuitrain ctl"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from tuitrain.cli import complete, meant
from tuitrain.cli.common import ForgivingGroup, find_run, home_option, print_safe
from tuitrain.core.commands import (
    LIVE,
    SETTINGS,
    Boundary,
    Change,
    Command,
    Epoch,
    FindRate,
    Pause,
    Resume,
    Rollback,
    SaveCheckpoint,
    Setting,
    Step,
    Stop,
    SwapLoss,
    Undo,
    read_epoch,
)
from tuitrain.core.errors import WrongUse
from tuitrain.core.live import Live
from tuitrain.core.safe import safe

if TYPE_CHECKING:
    from tuitrain.connection.answer import Answer
    from tuitrain.core.notes import Kind

_RUN = "tuitrain.run"
_ENDINGS = (signal.SIGTERM, signal.SIGHUP)
_TAKES_NUMBERS = {"ignore_unknown_options": True}  # -1 is a number, if a wrong one


class _Steering(ForgivingGroup):
    """The commands of `ctl`, which follow the name of a run."""

    def meant(self, ctx: click.Context, args: list[str]) -> str | None:
        return meant.steering(str(ctx.params.get("run")), args, self.commands)


@click.group(
    cls=_Steering,
    invoke_without_command=True,
    no_args_is_help=False,
    epilog="""\b
Examples:
  tuitrain ctl a pause --at epoch
  tuitrain ctl a loss mse
  tuitrain ctl a step 10""",
)
@click.argument("run", shell_complete=complete.live_runs)
@home_option
@click.pass_context
def ctl(ctx: click.Context, run: str) -> None:
    """Steer RUN from a shell. Each command is accepted or refused, then applied at its boundary."""
    ctx.meta[_RUN] = run
    if ctx.invoked_subcommand is None:
        if words := meant.steering(run, [], ctl.commands):
            raise WrongUse(f"{run} is a command of a run: tuitrain ctl {words}")
        raise WrongUse(f"no command for {safe(run)}, such as pause; tuitrain ctl --help lists them")


class _DashedCommand(click.Command):
    """A command whose argument may begin with a dash, such as the tag -old."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        dashed = [arg for arg in args if arg.startswith("-") and arg[:2] != "--" and len(arg) > 2]
        options = [arg for arg in args if arg not in dashed]
        return super().parse_args(ctx, [*options, "--", *dashed] if dashed else args)


def _command(*, waits: bool) -> Callable[[Any], Any]:
    """Return a decorator that adds the common options of `ctl` to a command."""
    options: list[Callable[[Any], Any]] = [
        click.option("--at", type=click.Choice(["batch", "epoch"]), help="Which boundary."),
        click.option(
            "--wait/--no-wait", default=None,
            help=f"Return when it took effect.  [{'--wait' if waits else '--no-wait'}]",
        ),
        click.option("--json", "as_json", is_flag=True, help="The answer as JSON."),
    ]  # fmt: skip

    def decorate(function: Any) -> Any:
        function = click.pass_context(function)
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@ctl.command(epilog="\b\nExample:\n  tuitrain ctl a pause --at epoch")
@_command(waits=True)
def pause(ctx: click.Context, **how: Any) -> int:
    """Pause after this batch, or with --at epoch after validation."""
    return _submit(ctx, Pause(), waits=how["at"] != "epoch", **how)


@ctl.command(epilog="\b\nExample:\n  tuitrain ctl a resume")
@_command(waits=True)
def resume(ctx: click.Context, **how: Any) -> int:
    """Go on after a pause."""
    return _submit(ctx, Resume(), waits=True, **how)


@ctl.command(epilog="\b\nExample:\n  tuitrain ctl a step 10", context_settings=_TAKES_NUMBERS)
@click.argument("count", default="1", metavar="[N]")
@_command(waits=True)
def step(ctx: click.Context, count: str, **how: Any) -> int:
    """Train N batches, then pause."""
    return _submit(ctx, Step.read(count), waits=True, **how)


@ctl.command(
    epilog="""\b
Examples:
  tuitrain ctl a loss mse
  tuitrain ctl a loss cross-entropy:label_smoothing=0.1
  tuitrain ctl a loss losses.py:focal:gamma=1"""
)
@click.argument("name", shell_complete=complete.named("loss"))
@_command(waits=False)
def loss(ctx: click.Context, name: str, **how: Any) -> int:
    """Use another loss from the next epoch on; sooner with --at."""
    return _submit(ctx, SwapLoss(name), waits=False, **how)


def _add_change(name: Setting, live: Live) -> None:
    """Add the command that changes a setting."""

    @_command(waits=False)
    def change(ctx: click.Context, value: str, **how: Any) -> int:
        return _submit(ctx, Change.read(name, value), waits=False, **how)

    change = click.argument("value", metavar=SETTINGS[name].type.metavar)(change)
    ctl.command(
        name, help=live.help, epilog=f"\b\nExample:\n  tuitrain ctl a {name} {live.example}",
        context_settings=_TAKES_NUMBERS,
    )(change)  # fmt: skip


for _name, _live in LIVE.items():
    _add_change(_name, _live)


@ctl.command(epilog="\b\nExample:\n  tuitrain ctl a checkpoint")
@_command(waits=False)
def checkpoint(ctx: click.Context, **how: Any) -> int:
    """Save a checkpoint after this batch."""
    return _submit(ctx, SaveCheckpoint(), waits=False, **how)


@ctl.command(
    epilog="""\b
Examples:
  tuitrain ctl a rollback
  tuitrain ctl a rollback 12
  tuitrain ctl a rollback best""",
    context_settings=_TAKES_NUMBERS,
)
@click.argument("epoch", type=read_epoch, required=False, metavar="[EPOCH|best]")
@_command(waits=False)
def rollback(ctx: click.Context, epoch: Epoch | None, **how: Any) -> int:
    """Go back to an epoch's checkpoint, with the settings of now.

    Default: the newest finite one.
    """
    return _submit(ctx, Rollback(epoch), waits=False, **how)


@ctl.command(epilog="\b\nExample:\n  tuitrain ctl a undo")
@_command(waits=False)
def undo(ctx: click.Context, **how: Any) -> int:
    """Go back to just before the last change, settings included."""
    return _submit(ctx, Undo(), waits=False, **how)


@ctl.command("lr-find", epilog="\b\nExample:\n  tuitrain ctl a lr-find")
@_command(waits=True)
def lr_find(ctx: click.Context, **how: Any) -> int:
    """Suggest a learning rate from a sweep, which is undone.

    The rate rises over the run's next batches until the loss diverges, at most 100. Another command
    ends the sweep.
    """
    return _submit(ctx, FindRate(), waits=True, **how)


@ctl.command(epilog="\b\nExample:\n  tuitrain ctl a stop")
@_command(waits=True)
def stop(ctx: click.Context, **how: Any) -> int:
    """End after this batch, with a checkpoint."""
    return _submit(ctx, Stop(), waits=True, **how)


@ctl.command(
    cls=_DashedCommand,
    epilog="""\b
Example:
  tuitrain ctl a note 'the loss rose when the rate did'""",
)
@click.argument("text")
@_command(waits=True)
def note(ctx: click.Context, text: str, *, as_json: bool, **_how: Any) -> int:
    """Keep a note at the present step.

    The run may have ended: no trainer is asked.
    """
    return _write(ctx, "note", text, as_json=as_json)


@ctl.command(
    cls=_DashedCommand,
    epilog="""\b
Examples:
  tuitrain ctl a tag baseline
  tuitrain ctl a tag -baseline     take it off""",
)
@click.argument("name", metavar="[-]NAME")
@_command(waits=True)
def tag(ctx: click.Context, name: str, *, as_json: bool, **_how: Any) -> int:
    """Put a tag on the run; -NAME takes it off.

    The run may have ended: no trainer is asked.
    """
    from tuitrain.core.notes import tag_of

    return _write(ctx, *tag_of(name), as_json=as_json)


def _write(ctx: click.Context, kind: Kind, text: str, *, as_json: bool) -> int:
    """Write a note or a tag, which takes effect at once and needs no trainer."""
    from tuitrain.connection.answer import write

    _print(write(find_run(ctx, ctx.meta[_RUN]), kind, text), as_json=as_json)
    return 0


@contextmanager
def _interruptible() -> Iterator[None]:
    """Withdraw the command on SIGTERM or SIGHUP, as on Ctrl-C."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _ENDINGS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _submit(
    ctx: click.Context,
    command: Command,
    *,
    waits: bool,
    at: Boundary | None,
    wait: bool | None,
    as_json: bool,
) -> int:
    """Send a command, wait for its answer, print it, and return the exit code."""
    from tuitrain.connection.answer import submit

    client = find_run(ctx, ctx.meta[_RUN])
    with _interruptible():
        answer = submit(
            client, command, at,
            until_applied=waits if wait is None else wait,
            say=lambda why: print_safe(f"tuitrain: {why}; Ctrl-C takes it back", err=True),
        )  # fmt: skip
    _print(answer, as_json=as_json)
    if isinstance(command, FindRate) and answer.state == "applied" and not as_json:
        print_safe(_in_words(answer.suggestion, client.name))
    return answer.exit_code


def _in_words(suggestion: float | None, name: str) -> str:
    if suggestion is None:
        return "no lr suggested: the loss fell at none"
    return f"suggested lr {suggestion:g}: tuitrain ctl {name} lr {suggestion:g}"


def _print(answer: Answer, *, as_json: bool) -> None:
    said = f"tuitrain: {answer}" if answer.is_refusal else str(answer)
    if as_json:
        click.echo(json.dumps(answer.as_json()), err=answer.is_refusal)
    else:
        print_safe(said, err=answer.is_refusal)
