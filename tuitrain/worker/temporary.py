"""Temporary folders that a killed process does not leave behind for good."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tuitrain.core.files import remove

_PREFIX = "tuitrain-ranks-"


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a new folder, and remove it after the block, with all that is in it.

    Those whose processes were killed are removed first: each process locks its own.
    """
    _sweep()
    folder, lock = _locked()
    try:
        yield folder
    finally:
        remove(folder)
        os.close(lock)


def _sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it is another user's, in use, or gone
            lock = _opened(folder)
            try:
                if os.fstat(lock).st_uid == os.getuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    remove(folder)
            finally:
                os.close(lock)


def _locked() -> tuple[Path, int]:
    """Return a new folder and its lock; another process may sweep it before it is locked."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        with suppress(FileNotFoundError):
            lock = _opened(folder)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.is_dir():
                return folder, lock
            os.close(lock)


def _opened(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
