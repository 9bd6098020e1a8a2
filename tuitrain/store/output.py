"""The output of a trainer and of the user's code."""

from __future__ import annotations

import os
from pathlib import Path

from tuitrain.core.files import read_plain

_MOST = 1 << 18


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
