"""The files that a trainer writes, and whether they are still those that it opened.

Whoever removes the lock file of a live run lets a second trainer start. The first must notice that
before it writes again, and must not take the second one's record for its own.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

from tuitrain.core.errors import TuitrainError
from tuitrain.store.paths import RunPaths


class Lost(TuitrainError):
    """A file was removed or replaced under its trainer; the run ends."""

    def __init__(self, what: str, *, may_record: bool) -> None:
        super().__init__(f"{what} while it was trained")
        self.may_record = may_record
        """The record is there, and nobody else can be writing it."""


class Files:
    """A run's directory, lock and record as its trainer opened them.

    They are looked up in the directory that was opened, so that a moved one is known again.
    """

    def __init__(self, paths: RunPaths, lock: int) -> None:
        self._paths = paths
        self._directory = os.open(paths.directory, os.O_RDONLY | os.O_DIRECTORY)
        self._here = os.fstat(self._directory)
        self._lock = os.fstat(lock)
        self._moved = False
        self._record = self._found(paths.record.name)

    def check(self) -> None:
        """Raise Lost if the directory, the lock or the record is not what was opened.

        Where that leaves a record to write its last word into, the next check passes.
        """
        lock = self._found(self._paths.lock.name)
        record = self._found(self._paths.record.name)
        if record is None:
            raise Lost("its record was removed", may_record=False)
        if not _is_same(record, self._record):
            raise Lost("its record was replaced", may_record=False)
        if lock is None:
            raise Lost("its lock was removed", may_record=self._lock_again())
        if not _is_same(lock, self._lock):
            raise Lost("its lock was replaced", may_record=False)
        if not (self._moved or _is_same(_stat(self._paths.directory), self._here)):
            self._moved = True
            raise Lost("its directory was moved", may_record=True)

    def lost(self) -> Lost | None:
        """Return what `check` would raise."""
        try:
            self.check()
        except Lost as lost:
            return lost
        return None

    def _found(self, name: str) -> os.stat_result | None:
        return _stat(name, self._directory)

    def _lock_again(self) -> bool:
        """Return whether nobody came since the lock was removed: a new one is ours, then."""
        with suppress(OSError):
            made = os.open(
                self._paths.lock.name,
                os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW,
                0o600,
                dir_fd=self._directory,
            )
            fcntl.flock(made, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._lock = os.fstat(made)
            return True
        return False


def _stat(path: os.PathLike[str] | str, directory: int | None = None) -> os.stat_result | None:
    try:
        return os.stat(path, dir_fd=directory, follow_symlinks=directory is None)
    except OSError:
        return None


def _is_same(one: os.stat_result | None, other: os.stat_result | None) -> bool:
    return one is not None and other is not None and os.path.samestat(one, other)
