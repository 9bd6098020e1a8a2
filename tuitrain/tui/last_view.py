"""The view that a user looked at last, kept in the home for the next run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tuitrain.core.errors import DamagedRecord
from tuitrain.core.files import read_text, write_atomically
from tuitrain.store.paths import RunPaths
from tuitrain.tui.views import VIEWS

FILE = "view"
_LARGEST = 100


def read(paths: RunPaths) -> str:
    """Return the name of that view; the first if none is kept."""
    name = ""
    with suppress(OSError, ValueError, DamagedRecord):
        name = read_text(_file(paths), most=_LARGEST).strip()
    return next((view.name for view in VIEWS if view.name == name), VIEWS[0].name)


def write(paths: RunPaths, name: str) -> None:
    """Keep the view of that name, unless the home cannot be written."""
    with suppress(OSError):
        if paths.directory.parent.name == "runs":  # a copy of a run elsewhere has no home
            write_atomically(_file(paths), f"{name}\n")


def _file(paths: RunPaths) -> Path:
    return paths.directory.parent.parent / FILE
