"""The log of a run: what its trainer and the user's code print, of which the newest is kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from tuitrain.core.files import open_plain, read_plain

_MOST = 1 << 18
LONGEST, KEPT = 64 << 20, 32 << 20
"""Bytes of a log: of a longer one, the newest are kept."""
LEFT_OUT = b"tuitrain: earlier lines are left out\n"


def last_lines(path: Path, *, most: int = _MOST) -> list[str]:
    """Return the lines in the last `most` bytes of a file; [] if there is none.

    Raises OSError if it cannot be read.
    """
    try:
        file = read_plain(path)
    except FileNotFoundError:
        return []
    with file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - most))
        text = file.read(most).decode(errors="replace")
    lines = text.split("\n")
    whole = lines[1:] if size > most else lines
    return whole[:-1] if whole and not whole[-1] else whole


def trim(path: Path) -> None:
    """Keep the newest lines of a log that has grown too long.

    It stays the same file, to which the trainer and its processes append. It is cut only once they
    stand at its begin, over older ones, so that a full disk costs none of them. What another
    process prints in this very moment may be lost.
    """
    with suppress(OSError):
        if path.lstat().st_size <= LONGEST:
            return
        with os.fdopen(open_plain(path, os.O_RDWR), "r+b") as log:
            log.seek(-KEPT, os.SEEK_END)
            log.readline()
            newest = log.read()
            log.seek(0)
            log.write(LEFT_OUT + newest)
            log.truncate()


def new_lines(log: TextIO) -> Iterator[str]:
    """Yield the lines since those that were read; after a `trim`, those since then."""
    if os.fstat(log.fileno()).st_size < log.tell():
        log.seek(0, os.SEEK_END)
    yield from log
