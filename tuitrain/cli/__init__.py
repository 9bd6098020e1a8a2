"""The command line. Each command imports its modules when it runs, so that help is instant."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import NamedTuple

import click

from tuitrain import __version__
from tuitrain.cli import meant
from tuitrain.cli.common import ForgivingGroup, keep_home, print_safe
from tuitrain.cli.encoding import replace_closed_streams, speak_plainly
from tuitrain.core.errors import TuitrainError, cannot_use, nearest
from tuitrain.core.safe import safe


class Place(NamedTuple):
    """A command's module, and its line in the list of commands, for which nothing is imported."""

    function: str
    """`module:function`"""
    summary: str


COMMANDS = {
    "tour": Place(
        "tuitrain.cli.tour:tour",
        "Learn training, losses and swaps in six steps, in the app.",
    ),
    "run": Place("tuitrain.cli.train:run", "Start a run of TASK (default: digits) and watch it."),
    "watch": Place("tuitrain.cli.watch:watch", "Run a PyTorch script unchanged, and steer it."),
    "attach": Place(
        "tuitrain.cli.attach:attach", "Watch and steer RUN from any terminal, any number at once."
    ),
    "resume": Place(
        "tuitrain.cli.resume:resume", "Go on with RUN after a stop or a crash, or past its end."
    ),
    "replay": Place(
        "tuitrain.cli.replay:replay", "Train RUN again, with its changes, to the same weights."
    ),
    "fork": Place(
        "tuitrain.cli.fork:fork", "Start a run from a checkpoint of RUN, with any option changed."
    ),
    "export": Place(
        "tuitrain.cli.export:export", "Write RUN for other tools: weights, tables, or a program."
    ),
    "predict": Place(
        "tuitrain.cli.predict:predict", "Print what RUN predicts for DATA: a row for each sample."
    ),
    "ls": Place("tuitrain.cli.look:ls", "List the runs and their states, newest first."),
    "show": Place(
        "tuitrain.cli.look:show", "Show one run in full: state, numbers, changes, checkpoints."
    ),
    "ctl": Place("tuitrain.cli.ctl:ctl", "Steer RUN from a shell."),
    "logs": Place("tuitrain.cli.look:logs", "Print what the trainer and user code printed."),
    "rm": Place("tuitrain.cli.rm:rm", "Delete finished runs: record, checkpoints and all."),
    "plot": Place(
        "tuitrain.cli.plot:plot", "Print the loss chart of RUN to stdout, without the app."
    ),
    "compare": Place(
        "tuitrain.cli.compare:compare", "Print runs over each other, and tables of how they differ."
    ),
    "tasks": Place("tuitrain.cli.catalogue:tasks", "List what can be trained on."),
    "losses": Place(
        "tuitrain.cli.catalogue:losses", "List the loss functions; with NAME, teach one."
    ),
    "models": Place(
        "tuitrain.cli.catalogue:models", "List the models and their options; with NAME, one."
    ),
    "optimizers": Place(
        "tuitrain.cli.catalogue:optimizers",
        "List the optimizers and schedules; with NAME, one and its options.",
    ),
    "metrics": Place(
        "tuitrain.cli.catalogue:metrics",
        "List the metrics, and the kinds of problems that have them.",
    ),
    "devices": Place(
        "tuitrain.cli.catalogue:devices", "List the devices of this machine with their memory."
    ),
}
"""All commands in the order of the help. Their own help begins with the same line."""


class _Commands(ForgivingGroup):
    """A group that imports a command when it is used."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].function.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.summary) for name, place in COMMANDS.items()])

    def meant(self, _ctx: click.Context, args: list[str]) -> str | None:
        from tuitrain.cli.ctl import ctl

        return meant.command(args, ctl.commands)


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="tuitrain COMMAND --help tells more. Without a command, the app opens.",
)
@click.version_option(__version__, message="tuitrain %(version)s")
@click.option("--home", metavar="DIR", help="Where runs live; else $TUITRAIN_HOME.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
@click.pass_context
def cli(ctx: click.Context, home: str | None) -> int:
    """Train neural networks and watch, pause and steer them while they learn."""
    keep_home(ctx, home)
    if ctx.invoked_subcommand is not None:
        return 0
    from tuitrain.cli.start import open_app

    return open_app(home)


def main() -> None:
    """Run the command line of this process, and exit with its exit code."""
    replace_closed_streams()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit code; errors go to stderr."""
    code: int | None
    speak_plainly()
    try:
        code = cli.main(arguments, prog_name="tuitrain", standalone_mode=False)
    except click.ClickException as error:
        _print_error(_usage_words(error, arguments), hint=_usage_hint(error, arguments))
        code = 2
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except TuitrainError as error:
        _print_error(str(error))
        code = error.exit_code
    except BrokenPipeError:
        sys.stderr.close()  # else the interpreter reports the broken pipe, too
        code = 0
    except OSError as error:
        _print_error(_cannot_write(error) if _is_of_output(error) else cannot_use(error))
        code = 1
    except Exception as error:  # noqa: BLE001 - no traceback reaches a user
        _print_error(
            f"unexpected: {type(error).__name__}: {error}", hint="--debug shows the traceback"
        )
        code = 1
    return code or 0


def _is_of_output(error: OSError) -> bool:
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(frame.f_code is click.echo.__code__ for frame in frames)


def _cannot_write(error: OSError) -> str:
    """Return what to say of output that could not be written, and drop what is left of it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return f"cannot write the output: {error.strerror}; send it to another place"


def _print_error(message: str, *, hint: str | None = None) -> None:
    if "--debug" in sys.argv:
        traceback.print_exc()
    print_safe(f"tuitrain: {safe(message)}", err=True)
    if hint:
        print_safe(f"  {hint}", err=True)


def _usage_words(error: click.ClickException, arguments: list[str]) -> str:
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        return _no_option(error.option_name, error.ctx, arguments)
    if isinstance(error, click.MissingParameter):  # click puts choices on separate lines
        return " ".join(error.format_message().split())
    return error.format_message()


def _no_option(option: str, ctx: click.Context, arguments: list[str]) -> str:
    if not option.startswith("--"):  # click reads -help as -h -e -l -p
        option = next(
            (word for word in arguments if word[0:1] == "-" and option[1] in word), option
        )
    name, parameters = option.lstrip("-"), ctx.command.get_params(ctx)
    known = {
        spelling.lstrip("-"): spelling
        for parameter in parameters
        if isinstance(parameter, click.Option)
        for spelling in (*parameter.opts, *parameter.secondary_opts)
    }
    if name in {
        parameter.name for parameter in parameters if isinstance(parameter, click.Argument)
    }:
        return f"no option {option!r}: write the {name} without it"
    if elsewhere := meant.option(name, ctx.command.name or ""):
        return f"no option {option!r}{elsewhere}"
    near = nearest(name, known)
    return f"no option {option!r}" + (f"; did you mean {known[near]!r}?" if near else "")


def _usage_hint(error: click.ClickException, arguments: list[str]) -> str:
    context = getattr(error, "ctx", None)  # an option without its value comes without one
    command = next((f" {word}" for word in arguments if word in COMMANDS), "")
    path = context.command_path if context else f"tuitrain{command}"
    return f"{path} --help tells what it takes"
