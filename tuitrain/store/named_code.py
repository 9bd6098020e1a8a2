"""Remember the Python files that a user names, so that a trainer executes no others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tuitrain.core.code_copies import check_known, named_by_path
from tuitrain.core.commands import Command, SwapLoss
from tuitrain.core.files import expanded
from tuitrain.core.known_code import KnownCode
from tuitrain.core.own import named_in_full, own_python
from tuitrain.core.spec import RunSpec
from tuitrain.store.paths import home_folder

_MAY_BE_CODE = ("task", "model", "loss", "optimizer")


def known_code() -> KnownCode:
    """Return the user's list, which no `--home` changes: a home can be anybody's."""
    return KnownCode(home_folder())


def remember(texts: Iterable[object]) -> None:
    """Remember the files among texts that the user gave, such as `losses.py:focal`."""
    for text in texts:
        own = own_python(text) if isinstance(text, str) else None
        if own is not None:
            known_code().add_file(expanded(own.file))


def remember_spec(spec: RunSpec) -> None:
    """Remember the files of a run that the user starts."""
    commands = [change.command for change in spec.schedule]
    swapped = [command.loss for command in commands if isinstance(command, SwapLoss)]
    remember([*(getattr(spec, name) for name in _MAY_BE_CODE), *swapped])


def with_paths(spec: RunSpec, code: Path) -> RunSpec:
    """Return the spec of a run with the path of each Python file, so that it is found anywhere.

    `code` is the run's folder of copies. Raises Refused for code that the user never started by
    name: a file that names it would start it.
    """
    check_known(code, known_code())
    schedule = tuple(
        change._replace(command=SwapLoss(named_by_path(code, change.command.loss)))
        if isinstance(change.command, SwapLoss)
        else change
        for change in spec.schedule
    )
    texts: dict[str, Any] = {
        name: named_by_path(code, getattr(spec, name)) for name in _MAY_BE_CODE
    }
    return replace(spec, schedule=schedule, **texts)


def named_by_user(command: Command) -> Command:
    """Return a command with its file named in full, and remember the file.

    The trainer has another working folder. A name without a folder may be a file of the run.
    """
    if not isinstance(command, SwapLoss) or own_python(command.loss) is None:
        return command
    remember([command.loss])
    return SwapLoss(named_in_full(command.loss))
