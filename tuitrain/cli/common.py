"""Shared parts of the commands: options, finding and reading a run, terminal checks."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tuitrain.core.errors import DamagedRecord, TuitrainError, UnknownName, WrongUse
from tuitrain.core.safe import safe
from tuitrain.tui import opening

if TYPE_CHECKING:
    from tuitrain.connection.client import Client
    from tuitrain.view.state.snapshot import Snapshot

_Command = TypeVar("_Command", bound=Callable[..., Any])
_LONGEST_LINE = 10_000


def print_safe(*lines: str, err: bool = False) -> None:
    """Print the lines without control characters.

    Text from a record is printed only here, by `colour.say` or as JSON, which escapes them.
    """
    if lines:
        opening.hide()
        click.echo("\n".join(safe(line, limit=_LONGEST_LINE) for line in lines), err=err)


def was_refused(run: Snapshot) -> bool:
    """Return whether a run was refused before it started, and so cannot be resumed."""
    return run.state == "failed" and run.started is None and run.exit_code in (2, 3)


class ForgivingGroup(click.Group):
    """A group that suggests the nearest command for a misspelt one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            if words := self.meant(ctx, args):
                path = ctx.command_path.removesuffix(" RUN")
                raise WrongUse(f"no command {args[0]!r}; did you mean: {path} {words}?")
            raise UnknownName("command", args[0], known)
        return super().resolve_command(ctx, args)

    def meant(self, _ctx: click.Context, _args: list[str]) -> str | None:
        """Return the words after this command that were meant by those without a command."""
        return None


def home_option(command: _Command) -> _Command:
    """Let `--home` stand after the command, too."""

    def keep(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
        keep_home(ctx, value or ctx.obj)

    return click.option(
        "--home", metavar="DIR", expose_value=False, is_eager=True, callback=keep,
        help="Where runs live; else $TUITRAIN_HOME.",
    )(command)  # fmt: skip


def keep_home(ctx: click.Context, home: str | None) -> None:
    """Keep the folder that a user named for `home_of`; TuitrainError if it can be none."""
    ctx.obj = home
    if home:
        home_of(ctx)


def home_of(ctx: click.Context) -> Path:
    """Return the folder of --home, $TUITRAIN_HOME or the platform."""
    from tuitrain.store.paths import home_folder

    return home_folder(ctx.obj)


def find_run(ctx: click.Context, run: str | None) -> Client:
    """Return the run of that name, unique prefix or directory; None: the newest."""
    from tuitrain.connection.client import Client
    from tuitrain.store import paths

    return Client(paths.find_run(home_of(ctx), run).directory)


def snapshot(client: Client) -> Snapshot:
    """Return the present snapshot of a run, read once.

    Raises DamagedRecord, which says how to delete the run, if it cannot be read.
    """
    from tuitrain.connection import follower

    try:
        return follower.snapshot(client)
    except DamagedRecord as error:
        title = client.paths.title
        raise DamagedRecord(f"{error.reason}; tuitrain rm {title} deletes it", title) from None


def has_terminal() -> bool:
    """Return whether stdin and stdout are a terminal that can show the app."""
    return is_capable() and sys.stdin.isatty() and sys.stdout.isatty()


def is_capable() -> bool:
    """Return whether TERM names a terminal that can do more than print lines."""
    return os.environ.get("TERM", "") not in ("", "dumb")


def how_it_died(code: int | None) -> str:
    """Return, in brackets, how a trainer with that exit code ended; nothing if it is unknown."""
    if code is None:
        return ""
    if code >= 0:
        return f" (exit code {code}, and not through tuitrain)"
    with suppress(ValueError):
        name = signal.Signals(-code).name
        hint = ", which the system also sends when memory runs out" if name == "SIGKILL" else ""
        return f" ({name}{hint})"
    return f" (signal {-code})"


def unreadable(error: Exception, directory: Path) -> str:
    """Return a sentence with the reason why a run cannot be read."""
    if isinstance(error, DamagedRecord):
        reason = error.reason
    else:
        reason = str(error) if isinstance(error, TuitrainError) else type(error).__name__
    return f"{safe(directory.name, limit=64)} cannot be read: {safe(reason)}"
