"""Commands as files: written atomically, named so that they sort by time, each read once."""

from __future__ import annotations

import os
from pathlib import Path

from tuitrain.core.commands import Request
from tuitrain.core.errors import TuitrainError
from tuitrain.core.files import atomic, check_folder

_LARGEST = 65_536
_UNREADABLE = (
    ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError
)  # fmt: skip


def put(inbox: Path, request: Request) -> Path:
    """Write a command atomically and return its file."""
    check_folder(inbox)
    path = inbox / f"{request.id}.json"
    # a crash of the machine ends the run, too: a key need not wait for a disk that is busy
    with atomic(path, survives_crash=False) as file:
        file.write(request.to_json().encode())
    return path


def waiting(inbox: Path) -> list[Path]:
    """Return the files of the commands that are still waiting, oldest first.

    A folder that changes while it is listed may show a file and not an older one: a second look,
    which finds what was there before the first one ended, tells what is older.
    """
    newest = max(_names(inbox), default="")
    return [inbox / name for name in sorted(_names(inbox)) if name <= newest] if newest else []


def _names(inbox: Path) -> list[str]:
    with os.scandir(inbox) as entries:
        return [
            entry.name
            for entry in entries
            if entry.name.endswith(".json") and entry.is_file(follow_symlinks=False)
        ]


def read(path: Path) -> Request | None:
    """Return the command in a file, or None if the file does not hold a valid one."""
    try:
        if path.stat().st_size > _LARGEST:
            return None
        request = Request.from_json(path.read_text())
    except (OSError, TuitrainError, *_UNREADABLE):
        return None
    return request if request.id == path.stem else None
