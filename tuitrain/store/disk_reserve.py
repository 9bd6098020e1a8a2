"""Room set aside in a run directory, so that a run that fills its disk can still say so."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from tuitrain.core.files import open_new

ROOM = 1 << 18
"""Bytes: the side files of a record and one flush of it take less."""


def set_aside(path: Path) -> None:
    """Take the room, by random bytes, since some disks store no zeros; OSError if there is none."""
    path.unlink(missing_ok=True)  # what an earlier trainer left
    descriptor = open_new(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(ROOM))
            file.flush()
            os.fsync(descriptor)
    except OSError:
        path.unlink()
        raise


def give_back(path: Path) -> None:
    """Free the room."""
    path.unlink(missing_ok=True)
