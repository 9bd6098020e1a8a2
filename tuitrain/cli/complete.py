"""Shell completion of runs, names of the catalogue, values and files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from tuitrain import catalog
from tuitrain.core.errors import TuitrainError
from tuitrain.core.spec import NAME
from tuitrain.core.values import (
    Device,
    File,
    Folder,
    ListOf,
    Named,
    OneOf,
    OrNone,
    ValueType,
    Weights,
)

if TYPE_CHECKING:
    from tuitrain.store.paths import RunPaths

Completion = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]

_DEVICES = ("auto", "cpu", "cuda", "mps")
"""Suggested names; only PyTorch could list the present devices."""


def runs(ctx: click.Context, _: click.Parameter, prefix: str) -> list[CompletionItem]:
    """Return the runs of the home of the command line or the environment."""
    return _starting_with(prefix, _runs(ctx, is_live=None))


def live_runs(ctx: click.Context, _: click.Parameter, prefix: str) -> list[CompletionItem]:
    """Return the runs with a live trainer."""
    return _starting_with(prefix, _runs(ctx, is_live=True))


def ended_runs(ctx: click.Context, _: click.Parameter, prefix: str) -> list[CompletionItem]:
    """Return the runs without a live trainer."""
    return _starting_with(prefix, _runs(ctx, is_live=False))


def trained_runs(ctx: click.Context, _: click.Parameter, prefix: str) -> list[CompletionItem]:
    """Return the runs of tuitrain's own trainer: those of scripts cannot be trained again."""
    return _starting_with(prefix, _runs(ctx, is_live=None, is_watched=False))


def resumable_runs(ctx: click.Context, _: click.Parameter, prefix: str) -> list[CompletionItem]:
    """Return those without a live trainer."""
    return _starting_with(prefix, _runs(ctx, is_live=False, is_watched=False))


def files(_: click.Context, __: click.Parameter, prefix: str) -> list[CompletionItem]:
    """Leave the completion of a file to the shell."""
    return [CompletionItem(prefix, type="file")]


def named(what: str) -> Completion:
    """Return the completion of names of the catalogue; each may be a file, a task also a folder."""

    def complete(_: click.Context, __: click.Parameter, prefix: str) -> list[CompletionItem]:
        if "/" in prefix or "." in prefix:
            return [CompletionItem(prefix, type="file")]
        return [
            CompletionItem(entry.name, help=entry.summary)
            for entry in catalog.CATALOG[what].values()
            if entry.name.startswith(prefix)
        ]

    return complete


def value(
    type_: ValueType, ctx: click.Context, param: click.Parameter, prefix: str
) -> list[CompletionItem]:
    """Return the completions of a value of that type; [] if there is no list of values."""
    match type_:
        case OrNone(of=of) | ListOf(of=of):
            return value(of, ctx, param, prefix)
        case Named(what=what):
            return named(what)(ctx, param, prefix)
        case OneOf(words=words):
            return _starting_with(prefix, words)
        case Device():
            return _starting_with(prefix, _DEVICES)
        case Weights():
            names = [] if "/" in prefix else _starting_with(prefix, _runs(ctx, is_live=None))
            return names or [CompletionItem(prefix, type="file")]
        case File():
            return [CompletionItem(prefix, type="file")]
        case Folder():
            return [CompletionItem(prefix, type="dir")]
        case _:
            return []


def _runs(ctx: click.Context, *, is_live: bool | None, is_watched: bool | None = None) -> list[str]:
    from tuitrain.store import lock
    from tuitrain.store.paths import home_folder, runs_in

    return [
        paths.name
        for paths in runs_in(_home(ctx, home_folder))
        if NAME.fullmatch(paths.name)
        and is_live in (None, lock.is_held(paths.lock))
        and is_watched in (None, _is_watched(paths))
    ]


def _is_watched(paths: RunPaths) -> bool | None:
    """Return whether a run is that of a script; None if its spec cannot be read."""
    try:
        return bool(paths.read_spec().watched)
    except TuitrainError:
        return None


def _home(ctx: click.Context, folder: Callable[[str | None], Path]) -> Path:
    """Return the home; `ctx.obj` is not set during completion, as no command has run."""
    return folder(ctx.obj or ctx.find_root().params.get("home"))


def _starting_with(prefix: str, names: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(prefix)]
