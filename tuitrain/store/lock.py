"""The lock of a run: its trainer holds it until the trainer's process ends.

`flock` is used because its lock belongs to the open file, can be handed over to a child process,
and is released by the kernel however the holder ends. Never open the lock file for anything else.
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

_PATIENCE_S = 2.0
"""`is_held` holds the lock too, but for microseconds only."""


def acquire(path: Path) -> int:
    """Lock `path` and return its descriptor, which is never one of the three standard ones.

    Raises RunLocked if the run is being trained, NoSuchRun if it is deleted meanwhile, NotPlain
    if the lock is a link or another special file.
    """
    fill_standard_descriptors()
    give_up_at = time.monotonic() + _PATIENCE_S
    while (descriptor := _locked(path)) is None:
        if time.monotonic() > give_up_at:
            raise RunLocked(f"{path.parent.name} is being trained already")
        time.sleep(0.01)
    return descriptor


def is_held(path: Path) -> bool:
    """Return whether a process holds the lock."""
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

    The run may be deleted between opening and locking the file. Then the path names another file,
    or none.
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
