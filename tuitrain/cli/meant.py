"""Suggestions for a command or an option that does not exist."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

_OTHER_WORDS = {
    "train": "run", "start": "run", "list": "ls", "delete": "rm", "remove": "rm",
    "open": "attach",
}  # fmt: skip


def command(words: Sequence[str], of_ctl: Collection[str]) -> str | None:
    """Return the words after `tuitrain` that were probably meant by these; None if unknown.

    `of_ctl` are the commands of `tuitrain ctl`.
    """
    from tuitrain.catalog import TASKS
    from tuitrain.core.own import source_of

    first, *rest = words
    if first == "help":
        return shlex.join([*rest[:1], "--help"])
    if first in _OTHER_WORDS:
        return shlex.join([_OTHER_WORDS[first], *rest])
    if first in of_ctl:
        return shlex.join(["ctl", *(rest[:1] or ["RUN"]), first, *rest[1:]])
    if Path(first).suffix == ".py":
        return shlex.join(["watch", *words])
    if first in TASKS or source_of(first) != "catalog":
        return shlex.join(["run", *words])
    return None


def steering(run: str, words: Sequence[str], known: Collection[str]) -> str | None:
    """Return the words after `tuitrain ctl` that were probably meant by RUN and these words."""
    first, *rest = words or [""]
    name, _, value = first.partition("=")
    if run in known:
        return shlex.join([first or "RUN", run, *rest])
    if name in known and value:
        return shlex.join([run, name, value, *rest])
    if rest and rest[0] in known:
        return shlex.join([run, *rest])
    return None


def option(name: str, command_name: str) -> str:
    """Return how to give an option that the command has not, as the end of a sentence."""
    ways = [*(_entries(name) if command_name in ("run", "fork") else ()), *_places(name)]
    return "".join(f"; {way}" for way in ways)


def _entries(name: str) -> Iterator[str]:
    """Yield the choice of a model, loss or optimizer that has an option of that name."""
    from tuitrain.catalog import CATALOG

    key = name.removeprefix("lr-").replace("-", "_")
    for what in ("model", "loss", "optimizer"):
        having = [entry.name for entry in CATALOG[what].values() if key in entry.options]
        yield from (f"write --{what} {entry}:{key}=..." for entry in having[:1])


def _places(name: str) -> Iterator[str]:
    """Yield the commands that take an option of that name."""
    from tuitrain.core.options import OPTIONS

    chosen = next(
        (option for option in OPTIONS.values() if name in (option.key, option.name)), None
    )
    if chosen is None:
        return
    if commands := [place for place in ("run", "fork", "resume") if place in chosen.places]:
        yield f"{' and '.join(commands)} take{'s' if len(commands) == 1 else ''} it"
    if chosen.live or chosen.name == "loss":
        yield f"of a live run: tuitrain ctl RUN {chosen.key}"
