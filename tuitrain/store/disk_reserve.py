"""Disk space reserved in a run directory, so that a run on a full disk can record its failure."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from tuitrain.core.files import open_new

ROOM = 1 << 18
"""Bytes reserved; SQLite's side files and one flush of the record take less."""


def allocate(path: Path) -> None:
    """Reserve the space; OSError if the disk has too little.

    The file holds random bytes, since some disks do not store zeros.
    """
    path.unlink(missing_ok=True)  # left by an earlier trainer
    descriptor = open_new(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(ROOM))
            file.flush()
            os.fsync(descriptor)
    except OSError:
        path.unlink()
        raise


def release(path: Path) -> None:
    """Free the reserved space."""
    path.unlink(missing_ok=True)
