"""Small files that somebody else may have put there, read without a wait and without an end."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tuitrain.core.errors import DamagedRecord


def read_text(path: Path, *, most: int) -> str:
    """Return the text in a file of at most that many bytes.

    Raises DamagedRecord, which names the file, for one that is larger, no text or no file, and
    OSError where it cannot be read.
    """
    # without O_NONBLOCK, opening a FIFO waits for somebody to write to it
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DamagedRecord(f"its {path.name} is not a plain file")
        found = _read(descriptor, most + 1)
    finally:
        os.close(descriptor)
    if len(found) > most:
        raise DamagedRecord(f"its {path.name} is larger than {most:,} bytes")
    try:
        return found.decode()
    except UnicodeDecodeError:
        raise DamagedRecord(f"its {path.name} is not text") from None


def _read(descriptor: int, most: int) -> bytes:
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(most)
