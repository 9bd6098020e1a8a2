"""The options of a run on the command line, made from the table of options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from tuitrain.cli import complete
from tuitrain.cli.common import home_of
from tuitrain.core.errors import WrongUse
from tuitrain.core.options import DISPLAY_OPTIONS, OPTIONS, Place, RunOption, at
from tuitrain.core.values import Flag, ListOf, Switch

_Function = TypeVar("_Function", bound=Callable[..., Any])


class RunArguments(NamedTuple):
    """The options of a command line, merged with those of its --config file."""

    name: str | None
    """The name of the new run; None: not given."""
    settings: dict[str, Any]
    """The given options by name; None is off."""
    display: dict[str, Any]
    """How the run is shown, as keyword arguments of `tuitrain.cli.start.go`."""


class RunCommand(click.Command):
    """A command whose help groups the options as the table does."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each group under its heading, in the order of declaration."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                groups.setdefault(_heading(param), []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def run_options(place: Place) -> Callable[[_Function], _Function]:
    """Add the options that the table has for a command; `run_arguments` reads them."""

    def decorate(command: _Function) -> _Function:
        for option in reversed(at(place)):
            command = _declared(option, place)(command)
        return command

    return decorate


def run_option(name: str, **differing: Any) -> Callable[[_Function], _Function]:
    """Add one option of the table, with the fields that differ for this command."""
    return _declared(replace(OPTIONS[name], **differing), "run")


def run_arguments(ctx: click.Context, options: dict[str, Any]) -> RunArguments:
    """Return the options of a command; these override the file of --config."""
    from tuitrain.core.config import read_config
    from tuitrain.core.spec import check_name
    from tuitrain.store.initial import weights_file

    given = {name: value for name, value in options.items() if was_given(ctx, name)}
    config = given.pop("config", None)
    asked = (read_config(Path(config)) if config else {}) | given
    display = {name: asked.pop(name, OPTIONS[name].default) for name in DISPLAY_OPTIONS}
    name = asked.pop("name", None)
    if name is not None:
        check_name(name)
    if isinstance(folder := asked.get("data"), str):
        asked["data"] = OPTIONS["data"].read(folder)
    if isinstance(weights := asked.get("init_from"), str):
        asked["init_from"] = str(weights_file(home_of(ctx), weights))
        asked["init_given"] = weights
    return RunArguments(name, asked, display)


class Value(click.ParamType[Any]):
    """A click type for a value of an option of the table."""

    def __init__(self, option: RunOption) -> None:
        self._option = option
        self.name = option.type.metavar

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return complete.value(self._option.type, ctx, param, incomplete)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._option.read(value)
        except WrongUse as error:
            self.fail(str(error), param, ctx)


def _declared(option: RunOption, place: Place) -> Callable[[_Function], _Function]:
    is_default_shown = (
        place == "run" or option.name in DISPLAY_OPTIONS
    )  # else the default is the value of the parent
    description = option.help_and_default if is_default_shown else option.help
    declared = partial(click.option, f"--{option.key}", option.name, help=description)
    if isinstance(option.type, Flag):
        return declared(is_flag=True)
    if isinstance(option.type, Switch):
        both = f"--{option.key}/--no-{option.key}"
        return click.option(both, option.name, default=None, help=description)
    takes = partial(declared, type=Value(option), metavar=option.type.metavar)
    if isinstance(option.type, ListOf):
        return takes(multiple=True, callback=lambda _, __, values: tuple(chain(*values)))
    return takes()


def _heading(param: click.Parameter) -> str:
    option = OPTIONS.get(param.name or "")
    return option.group if option else "Options"


def was_given(ctx: click.Context, option: str) -> bool:
    """Return whether the option is on the command line, even as `--pace off`."""
    return ctx.get_parameter_source(option) is ParameterSource.COMMANDLINE
