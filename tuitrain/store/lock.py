"""Alive means locked: whoever trains a run holds its lock file until the end of its process.

`flock`, since its lock belongs to the open file, survives a hand-over to a child process, and is
let go by the kernel whatever ends the holder. Never open the lock file for anything else.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from tuitrain.core.errors import NoSuchRun, RunLocked
from tuitrain.core.files import NotPlain, fill_standard_descriptors, open_plain
from tuitrain.core.safe import safe

_PATIENCE_S = 2.0  # a reader's probe holds the lock for microseconds


def acquire(path: Path) -> int:
    """Lock `path` and return its descriptor, which is none of the three standard ones.

    Raises RunLocked if somebody trains the run, NoSuchRun if somebody deletes it meanwhile,
    NotPlain if the lock is a link or the like.
    """
    fill_standard_descriptors()
    give_up_at = time.monotonic() + _PATIENCE_S
    while (descriptor := _locked(path)) is None:
        if time.monotonic() > give_up_at:
            raise RunLocked(f"{path.parent.name} is being trained already")
        time.sleep(0.01)
    return descriptor


def is_held(path: Path) -> bool:
    """Return whether somebody holds the lock."""
    try:
        descriptor = open_plain(path, os.O_RDONLY)
    except (FileNotFoundError, NotPlain):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _locked(path: Path) -> int | None:
    """Return the descriptor of the locked file; None if another process holds it.

    Between opening and locking it, its run may have been deleted: then the file of that name is
    another, or none.
    """
    try:
        descriptor = open_plain(path, os.O_RDWR | os.O_CREAT)
    except FileNotFoundError:
        raise NoSuchRun(f"{safe(path.parent.name)} has been deleted") from None
    with suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.lstat()):
            return descriptor
    os.close(descriptor)
    return None
