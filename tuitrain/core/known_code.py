"""The Python files that a user has started by naming them, by digest.

A run directory can come from anybody, and resuming it would execute the code in it. So copies of
code are executed only where their digests are known here. The list belongs to the user, not to a
run: it is in the folder of $TUITRAIN_HOME or the platform, whatever `--home` says.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tuitrain.core.errors import DamagedRecord, Refused
from tuitrain.core.files import open_plain, read_text
from tuitrain.core.safe import safe

_LARGEST = 16 << 20
LARGEST_FILE = 10 << 20
"""Bytes of a Python file at most."""


class KnownCode:
    """The digests in a home's `known-code`, one a line."""

    def __init__(self, home: Path) -> None:
        self._path = home / "known-code"

    def has(self, digest: str) -> bool:
        """Return whether code of that SHA-256 was started by name."""
        try:
            return digest in read_text(self._path, most=_LARGEST).split()
        except (OSError, DamagedRecord):
            return False

    def add(self, digests: Iterable[str]) -> None:
        """Add the digests that are new."""
        new = [digest for digest in dict.fromkeys(digests) if not self.has(digest)]
        if not new:
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        with os.fdopen(open_plain(self._path, flags), "w") as file:
            file.write("".join(f"{digest}\n" for digest in new))

    def add_file(self, file: Path) -> None:
        """Add a file that the user named; importing one that cannot be read reports it."""
        with suppress(OSError, Refused):
            self.add([digest_of(file)])


def is_of(file: Path, digest: str) -> bool:
    """Return whether a Python file is there, and has that SHA-256."""
    try:
        return file.is_file() and digest_of(file) == digest
    except (OSError, Refused):
        return False


def digest_of(file: Path) -> str:
    """Return the SHA-256 of a Python file; Refused for one that is very large."""
    if file.stat().st_size > LARGEST_FILE:
        raise Refused(f"{safe(file)} is larger than {LARGEST_FILE:,} bytes")
    return hashlib.sha256(file.read_bytes()).hexdigest()
