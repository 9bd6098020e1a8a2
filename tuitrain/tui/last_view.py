"""The view of a run that was looked at last, and its panel shown alone, for the next run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tuitrain.core.errors import DamagedRecord
from tuitrain.core.files import read_text, write_atomically
from tuitrain.store.paths import RunPaths
from tuitrain.tui.views import VIEWS

FILE = "view"
_LARGEST = 200


class LastView(NamedTuple):
    """The name of a view, and the id of its panel that is shown alone; "" for all panels."""

    name: str = VIEWS[0].name
    panel: str = ""


def read(paths: RunPaths) -> LastView:
    """Return what is kept; all panels of the first view if that is nothing."""
    text = ""
    with suppress(OSError, ValueError, DamagedRecord):
        text = read_text(_file(paths), most=_LARGEST)
    name, panel, *_ = [*text.splitlines(), "", ""]
    return LastView(name, panel) if name in (view.name for view in VIEWS) else LastView()


def write(paths: RunPaths, view: LastView) -> None:
    """Keep it, unless the home cannot be written."""
    with suppress(OSError):
        if paths.directory.parent.name == "runs":  # a copy of a run elsewhere has no home
            text = f"{view.name}\n{view.panel}\n"
            write_atomically(_file(paths), text, survives_crash=False)  # a key need not wait


def _file(paths: RunPaths) -> Path:
    return paths.directory.parent.parent / FILE
