"""tuitrain run"""

from __future__ import annotations

from typing import Any

import click

from tuitrain.cli.common import has_terminal, home_of, home_option


class _Pace(click.ParamType[Any]):
    name = "N|off"

    def convert(self, value: Any, param: Any, ctx: Any) -> float | None:
        if value == "off" or value is None:
            return None
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number of batches a second nor off", param, ctx)


@click.command(
    epilog="""\b
Examples:
  tuitrain run                                train digits and watch
  tuitrain run digits --model cnn --pace 30   slowly enough to follow
  tuitrain run digits --epochs 20 --plain     lines on stdout, no app
  tuitrain run digits --detach --name a       in the background: tuitrain attach a"""
)
@click.argument("task", default="digits")
@click.option("--loss", metavar="NAME", help="The loss to begin with.  [by the task]")
@click.option("--model", metavar="NAME[:...]", help="linear, mlp or cnn.  [by the task]")
@click.option("--optimizer", metavar="NAME[:...]", help="adam, adamw or sgd.  [adam]")
@click.option("--lr", type=float, metavar="X", help="Learning rate.  [0.001]")
@click.option("--batch-size", type=int, metavar="N", help="Samples a step.  [64]")
@click.option("--epochs", type=int, metavar="N", help="Passes over the data.  [by the task]")
@click.option("--seed", type=int, metavar="N", help="Decides weights and order.  [0]")
@click.option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:N or mps.  [auto]")
@click.option("--name", metavar="NAME", help="The run's name.  [task and time]")
@click.option("--paused", is_flag=True, help="Wait before the first batch.")
@click.option("--pace", type=_Pace(), help="At most N batches a second; changes no weights.  [off]")
@click.option("--detach", is_flag=True, help="Start, print the name, return.")
@click.option("--plain", is_flag=True, help="No app: lines on stdout; the run ends with it.")
@click.option(
    "--log-interval", type=click.IntRange(min=1), default=100, show_default=True, metavar="N",
    help="With --plain, batches between two lines.",
)  # fmt: skip
@home_option
@click.pass_context
def run(ctx: click.Context, /, task: str, **options: Any) -> int:
    """Start a run of TASK and watch it: digits, breast-cancer or diabetes."""
    from tuitrain import supervisor
    from tuitrain.core.spec import RunSpec

    ways = {key: options.pop(key) for key in ("name", "detach", "plain", "log_interval")}
    if ways["detach"] and ways["plain"]:
        raise click.UsageError("--plain owns the run and --detach lets it go: choose one", ctx)
    spec = RunSpec.of(task, **options)
    plain = ways["plain"] or not (ways["detach"] or has_terminal())
    started = supervisor.start(home_of(ctx), spec, ways["name"], owned=plain)
    if ways["detach"]:
        click.echo(started.paths.name)
        return 0
    if plain:
        from tuitrain.cli.plain import own

        return own(started, every=ways["log_interval"])
    from tuitrain.cli.start import watch

    return watch(started.paths, started)
