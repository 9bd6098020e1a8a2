"""tuitrain ctl"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from tuitrain.cli.common import find, home_option
from tuitrain.core.commands import Boundary, Change, Pause, Resume, Step, Stop, SwapLoss, Wish

_LOOK_S = 0.02

_RUN = "tuitrain.run"


@click.group(
    epilog="""\b
Examples:
  tuitrain ctl a pause --at epoch
  tuitrain ctl a loss mse
  tuitrain ctl a step 10"""
)
@click.argument("run")
@home_option
@click.pass_context
def ctl(ctx: click.Context, run: str) -> None:
    """Steer RUN from a shell. Each wish is accepted or refused, then applied at its boundary."""
    ctx.meta[_RUN] = run


def _wish(*, waits: bool) -> Callable[[Any], Any]:
    """Give a command of `ctl` the options that all wishes have."""
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
@_wish(waits=True)
def pause(ctx: click.Context, **how: Any) -> int:
    """Hold after this batch, or with --at epoch after this epoch's validation."""
    return _ask(ctx, Pause(), waits=how["at"] != "epoch", **how)


@ctl.command(epilog="\b\nExample:\n  tuitrain ctl a resume")
@_wish(waits=True)
def resume(ctx: click.Context, **how: Any) -> int:
    """Go on after a pause."""
    return _ask(ctx, Resume(), waits=True, **how)


@ctl.command(epilog="\b\nExample:\n  tuitrain ctl a step 10")
@click.argument("count", type=int, default=1, metavar="[N]")
@_wish(waits=True)
def step(ctx: click.Context, count: int, **how: Any) -> int:
    """Train N batches, then pause."""
    return _ask(ctx, Step(count), waits=True, **how)


@ctl.command(epilog="\b\nExample:\n  tuitrain ctl a loss mse")
@click.argument("name")
@_wish(waits=False)
def loss(ctx: click.Context, name: str, **how: Any) -> int:
    """Use another loss from the next epoch on, or with --at batch from the next batch."""
    return _ask(ctx, SwapLoss(name), waits=False, **how)


@ctl.command(epilog="\b\nExamples:\n  tuitrain ctl a pace 30\n  tuitrain ctl a pace off")
@click.argument("pace", metavar="N|off")
@_wish(waits=False)
def pace(ctx: click.Context, pace: str, **how: Any) -> int:
    """Train at most N batches a second."""
    return _ask(ctx, Change.read("pace", pace), waits=False, **how)


@ctl.command(epilog="\b\nExample:\n  tuitrain ctl a stop")
@_wish(waits=True)
def stop(ctx: click.Context, **how: Any) -> int:
    """End after this batch, with a checkpoint."""
    return _ask(ctx, Stop(), waits=True, **how)


def _ask(
    ctx: click.Context,
    wish: Wish,
    *,
    waits: bool,
    at: Boundary | None,
    wait: bool | None,
    as_json: bool,
) -> int:
    """Send a wish, wait for its answer, print it, and return the exit code."""
    from tuitrain.cli.answer import answer_to

    answer = answer_to(
        find(ctx, ctx.meta[_RUN]), wish, at, until_applied=waits if wait is None else wait
    )
    click.echo(json.dumps(answer.as_json()) if as_json else str(answer), err=answer.is_refusal)
    return 3 if answer.is_refusal else 0
