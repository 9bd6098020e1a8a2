"""Names of a user's own things: `task.py`, `losses.py:focal:gamma=2`, `data.csv`, `photos/`.

It parses text only; `catalog.new_spec` looks whether a file is there, and only the trainer runs it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from tuitrain.core.errors import WrongUse
from tuitrain.core.files import expanded, missing

_PYTHON = re.compile(r"(?P<file>.+?\.py)(?::(?P<name>[^:=,]+))?(?::(?P<options>.+))?", re.DOTALL)
TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")

Source = Literal["catalog", "python", "table", "images"]


@dataclass(frozen=True, slots=True)
class OwnPython:
    """An object in a Python file, with options: `losses.py:focal:gamma=2`."""

    file: str
    name: str = ""
    """Empty: the file has one that it need not name."""
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [self.file, *filter(None, [self.name])]
        parts += [",".join(f"{key}={value}" for key, value in self.options.items())] * bool(
            self.options
        )
        return ":".join(parts)


def own_python(text: str) -> OwnPython | None:
    """Return the file, name and options that `text` has, None if it names no Python file."""
    matched = _PYTHON.fullmatch(text)
    if matched is None:
        return None
    pairs = [part.partition("=") for part in (matched["options"] or "").split(",") if part]
    if not all(key and value for key, _, value in pairs):
        raise WrongUse(f"cannot read {text!r}; write FILE.py:NAME or FILE.py:NAME:key=value")
    return OwnPython(
        matched["file"], matched["name"] or "", {key: value for key, _, value in pairs}
    )


def source_of(task: str) -> Source:
    """Return where the data of a task come from, by its text alone.

    A folder of images is told from a name by a slash in it, or by being `.` or `..`.
    """
    if own_python(task) is not None:
        return "python"
    if task.lower().endswith(TABLES):
        return "table"
    return "images" if "/" in task or task in (".", "..") else "catalog"


def title_of(task: str) -> str:
    """Return a task's text as a run's title has it: a built-in name, or that of file or folder."""
    own = own_python(task)
    if own is not None:
        return ":".join(filter(None, [Path(own.file).name, own.name]))
    return task if source_of(task) == "catalog" else Path(task).name or task


def by_file_name(text: str) -> str:
    """Return a text without the folder of its Python file: a run has one file of each name."""
    own = own_python(text)
    return text if own is None else str(replace(own, file=Path(own.file).name))


def named_in_full(text: str) -> str:
    """Return a text with the full path of its Python file; WrongUse if a path names no file.

    A bare name may be one of the run's own copies, which only the trainer knows.
    """
    own = own_python(text)
    if own is None:
        return text
    path = expanded(own.file)
    if path.is_file():
        return str(replace(own, file=str(path.absolute())))
    if "/" in own.file:
        raise missing("file", own.file)
    return text
