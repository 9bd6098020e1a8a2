"""Alive means locked: whoever trains a run holds its lock file until the end of its process.

`flock`, since its lock belongs to the open file, survives a hand-over to a child process, and is
let go by the kernel whatever ends the holder. Never open the lock file for anything else.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from tuitrain.core.errors import RunLocked

_PATIENCE_S = 2.0  # a reader's probe holds the lock for microseconds


def acquire(path: Path) -> int:
    """Lock `path` and return its descriptor, or raise RunLocked if somebody trains the run."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    give_up_at = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up_at:
                os.close(descriptor)
                raise RunLocked(f"{path.parent.name} is being trained already") from None
            time.sleep(0.01)
        else:
            return descriptor


def is_held(path: Path) -> bool:
    """Return whether somebody holds the lock."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
