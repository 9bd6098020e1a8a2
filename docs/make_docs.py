"""Write the pages that the program itself knows: options, keys, command line, losses. make docs"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import click
from textual.binding import Binding
from textual.keys import key_to_character
from textual.screen import Screen

from tuitrain.catalog import LOSSES, Loss
from tuitrain.cli import cli
from tuitrain.core.options import OPTIONS, Place, RunOption
from tuitrain.tui.app import SCREENS, TuitrainApp
from tuitrain.tui.keys import spelled
from tuitrain.tui.screens.choice import ChoiceScreen
from tuitrain.tui.screens.compare import CompareScreen
from tuitrain.tui.screens.epoch import EpochScreen
from tuitrain.tui.screens.help import HelpScreen
from tuitrain.tui.screens.losses import LossesScreen
from tuitrain.tui.screens.new_run import NewRunScreen
from tuitrain.tui.screens.note import NoteScreen
from tuitrain.tui.screens.number import NumberScreen
from tuitrain.tui.screens.parameters import ParametersScreen
from tuitrain.tui.screens.rate_sweep import RateSweepScreen
from tuitrain.tui.screens.resume import ResumeScreen
from tuitrain.tui.screens.run import RunScreen
from tuitrain.tui.screens.runs import RunsScreen

DOCS = Path(__file__).parent
_COLUMNS = 80

_OPTION_HEAD = "| option | does | takes | default | where |\n|---|---|---|---|---|\n"
_PLACES: dict[Place, str] = {
    "run": "`run`", "fork": "`fork`", "resume": "`resume`", "replay": "`replay`", "form": "form",
    "config": "file",
}  # fmt: skip
_OPTION_COMMANDS = {"run", "fork", "resume", "replay"}

_KEY_HEAD = "| id | key | does |\n|---|---|---|\n"
_SCREENS: dict[type[Screen[Any]], str] = {
    RunScreen: "On a run",
    RunsScreen: "In the list of runs",
    CompareScreen: "In a comparison",
    NewRunScreen: "In the form for a new run",
    ChoiceScreen: "In a question",
    EpochScreen: "Where an epoch is asked for",
    HelpScreen: "In the help",
    LossesScreen: "In the picker of losses",
    NoteScreen: "Where a note or a tag is asked for",
    NumberScreen: "Where a number is asked for",
    RateSweepScreen: "In the learning-rate finder",
    ResumeScreen: "Where a finished run is resumed",
    ParametersScreen: "Where a loss's parameters are asked for",
}

_CLI = """# The command line

What `--help` says of each command, on one page.
"""
_LOSSES = """# Loss functions

A page for each loss, from the catalogue that the picker (`l`) and `tuitrain losses NAME` show.
`tuitrain losses --task TASK` says which fit a task; view `3` of a run draws the one in use.

| loss | is | fits |
|---|---|---|
"""


def pages() -> dict[str, str]:
    """Return the text of each page by its path in this folder."""
    return {
        "options.md": _introduction("options.md") + "".join(_options()),
        "keys.md": _introduction("keys.md") + "".join(_keys()),
        "cli.md": _CLI + "".join(_commands(cli, "tuitrain")),
        "losses/README.md": _LOSSES + "".join(map(_loss_row, LOSSES.values())),
        **{f"losses/{loss.name}.md": _loss_page(loss) for loss in LOSSES.values()},
    }


def _introduction(page: str) -> str:
    """Return what a person wrote: everything before the first heading of a section."""
    return (DOCS / page).read_text().partition("\n## ")[0]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _options() -> Iterator[str]:
    for name, options in groupby(OPTIONS.values(), key=lambda option: option.group):
        yield f"\n## {name}\n\n{_OPTION_HEAD}{''.join(map(_option_row, options))}"


def _option_row(option: RunOption) -> str:
    on_command_line = f"--{option.key} {option.type.metavar}".strip()
    name = on_command_line if _OPTION_COMMANDS & set(option.places) else option.key
    kept = {"fork"} if option.is_of_weights else set()
    places = [place for place in option.places if place not in kept]
    offered = [description for place, description in _PLACES.items() if place in places]
    where = ", ".join([*offered, *["live"] * bool(option.live)])
    default = option.shown_default or "–"
    return _row(f"`{name}`", option.help, option.description, default, where)


def _keys() -> Iterator[str]:
    yield _keys_of("Everywhere", TuitrainApp.BINDINGS)
    for screen in SCREENS:
        yield _keys_of(_SCREENS[screen], screen.BINDINGS)


def _keys_of(title: str, bindings: Iterable[Any]) -> str:
    rows = "".join(_key_row(binding) for binding in bindings if isinstance(binding, Binding))
    return f"\n## {title}\n\n{_KEY_HEAD}{rows}"


def _key_row(binding: Binding) -> str:
    keys = " ".join(f"`{_sign(key)}`" for key in binding.key.split(","))
    return _row(f"`{binding.id}`", keys, binding.tooltip or binding.description)


def _sign(key: str) -> str:
    character = key_to_character(key) or ""
    return character if character.strip() and character.isprintable() else spelled(key)


def _commands(group: click.Group, name: str, parent: click.Context | None = None) -> Iterator[str]:
    """Yield a section for each command of a group, those of its own groups below it."""
    context = click.Context(group, parent, name, **group.context_settings)
    for command_name in group.list_commands(context):
        command = group.get_command(context, command_name)
        assert command is not None
        of_command = click.Context(
            command, context, command_name, terminal_width=_COLUMNS, **command.context_settings
        )
        heading = "##" if parent is None else "###"
        path = of_command.command_path
        yield f"\n{heading} `{path}`\n\n```text\n{command.get_help(of_command)}\n```\n"
        if isinstance(command, click.Group):
            yield from _commands(command, command_name, context)


def _loss_row(loss: Loss) -> str:
    return _row(f"[`{loss.name}`]({loss.name}.md)", loss.summary, ", ".join(loss.takes))


def _loss_page(loss: Loss) -> str:
    also = "".join(f"PyTorch's `{alias}`. " for alias in loss.aliases)
    fits = [f"- **{kind}**: {shapes}" for kind, shapes in loss.takes.items()]
    fits += [f"- **only counts**: {loss.only_counts}"] if loss.only_counts else []
    fits += [f"- **{kind}**: does not fit: {why}" for kind, why in loss.misfits.items()]
    options = [
        f"- `{loss.name}:{key}={option.write(option.default)}`: {option.description}, "
        f"{option.type.description}"
        + (f"; for {' and '.join(option.kinds)}" if option.kinds else "")
        for key, option in loss.options.items()
    ]
    parts = [
        f"# {loss.name}", f"{loss.summary}. {also}".strip(), f"    {loss.formula}",
        f"**How it works.** {loss.inside}", f"**When to use it.** {loss.when}",
        f"**When to use another.** {loss.when_not}", "## What it takes", "\n".join(fits),
        *(["## Parameters", "\n".join(options)] if options else []),
        "## Try it",
        f"```sh\ntuitrain losses {loss.name}\ntuitrain ctl RUN loss {loss.name}\n```",
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    for page in (DOCS / "losses").glob("*.md"):
        page.unlink()
    for name, text in pages().items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(text)
