"""The file of a run's notes and tags: a line of JSON for each, appended by anybody at any time.

The record has one writer, its trainer, and is what a run can be repeated from. Notes lie beside it,
so that they can be added to a run that has ended, and change neither a replay nor the record.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from tuitrain.core.decode import decoded, parsed
from tuitrain.core.errors import DamagedRecord, Refused
from tuitrain.core.files import open_plain, read_text
from tuitrain.core.notes import Note
from tuitrain.core.safe import safe

_LARGEST = 1 << 20


def append(path: Path, note: Note) -> None:
    """Append a note in one write, so that several processes may do so at once.

    Raises NotPlain if the file is a link, Refused if it is full.
    """
    descriptor = open_plain(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        # a line break before it: a line that a full disk cut short spoils no other
        line = f"\n{json.dumps(asdict(note))}".encode()
        if os.fstat(descriptor).st_size + len(line) > _LARGEST:
            raise Refused(f"{safe(path)} is full; delete old lines of it")
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


class Notes:
    """Reads the notes of a run again only when their file has changed. Any thread may call it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[object, tuple[Note, ...]] = (None, ())

    def __call__(self) -> tuple[Note, ...]:
        """Return the notes, oldest first; lines that are not valid are left out."""
        stamp = stamp_of(self._path)
        if stamp != self._read[0]:
            self._read = stamp, _notes_in(self._path)
        return self._read[1]


def stamp_of(path: Path) -> tuple[int, int]:
    """Return the time and the size of a file; 0 and 0 if there is none."""
    try:
        stat = path.stat()
    except OSError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_size


def _notes_in(path: Path) -> tuple[Note, ...]:
    notes: list[Note] = []
    with suppress(OSError, DamagedRecord):
        for line in read_text(path, most=_LARGEST).splitlines():
            with suppress(DamagedRecord):
                notes.append(decoded(Note, parsed(line)))
    return tuple(notes)
