"""What a shell completes: names of runs, of what the catalogue has, and files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from tuitrain import catalog
from tuitrain.core.spec import NAME
from tuitrain.core.values import (
    Device,
    File,
    Folder,
    Named,
    OneOf,
    OrNone,
    Several,
    ValueType,
    Weights,
)

Completion = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

_DEVICES = ("auto", "cpu", "cuda", "mps")
"""Names that are offered; only PyTorch knows which devices are present."""


def runs(ctx: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """Return the runs of the home that the command line so far, or the environment, names."""
    return _beginning(begun, _runs(ctx, is_going=None))


def going_runs(ctx: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """Return the runs that are trained."""
    return _beginning(begun, _runs(ctx, is_going=True))


def ended_runs(ctx: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """Return the runs without a trainer."""
    return _beginning(begun, _runs(ctx, is_going=False))


def named(what: str) -> Completion:
    """Return what completes names of the catalogue; a task may be a file or a folder, too."""

    def complete(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
        if what == "task" and ("/" in begun or "." in begun):
            return [CompletionItem(begun, type="file")]
        return [
            CompletionItem(entry.name, help=entry.summary)
            for entry in catalog.CATALOG[what].values()
            if entry.name.startswith(begun)
        ]

    return complete


def value(
    type_: ValueType, ctx: click.Context, param: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Return what completes a value of one of the table's types; nothing where it may be any."""
    match type_:
        case OrNone(of=of) | Several(of=of):
            return value(of, ctx, param, begun)
        case Named(what=what):
            return named(what)(ctx, param, begun)
        case OneOf(words=words):
            return _beginning(begun, words)
        case Device():
            return _beginning(begun, _DEVICES)
        case Weights():
            found = _beginning(begun, _runs(ctx, is_going=None))
            return found if found and "/" not in begun else [CompletionItem(begun, type="file")]
        case File():
            return [CompletionItem(begun, type="file")]
        case Folder():
            return [CompletionItem(begun, type="dir")]
        case _:
            return []


def _runs(ctx: click.Context, *, is_going: bool | None) -> list[str]:
    from tuitrain.store import lock
    from tuitrain.store.paths import home_folder, runs_in

    found = runs_in(_home(ctx, home_folder))
    return [
        paths.name
        for paths in found
        if NAME.fullmatch(paths.name) and is_going in (None, lock.is_held(paths.lock))
    ]


def _home(ctx: click.Context, folder: Callable[[str | None], Path]) -> Path:
    """Return the home; during completion no command has run, so `--home` is not stored yet."""
    return folder(ctx.obj or ctx.find_root().params.get("home"))


def _beginning(begun: str, names: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(begun)]
