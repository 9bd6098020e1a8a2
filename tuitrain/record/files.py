"""A check that the files of a run are still those that its trainer opened.

If the lock file of a live run is removed, a second trainer can start. The first must notice this
before it writes again, and must not mistake the record of the second for its own.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

from tuitrain.core.errors import TuitrainError
from tuitrain.store import output
from tuitrain.store.paths import RunPaths


class Lost(TuitrainError):
    """A file of the run was removed or replaced while it was trained; the run ends."""

    def __init__(self, what: str, *, may_record: bool) -> None:
        super().__init__(f"{what} while it was trained")
        self.may_record = may_record
        """Whether the record exists and no other trainer can be writing it."""


class Files:
    """The directory, lock and record of a run as its trainer opened them.

    Lock and record are looked up in the open directory, so that a moved run is recognised.
    """

    def __init__(self, paths: RunPaths, lock: int) -> None:
        self._paths = paths
        self._directory = os.open(paths.directory, os.O_RDONLY | os.O_DIRECTORY)
        self._opened = os.fstat(self._directory)
        self._lock = os.fstat(lock)
        self._moved = False
        self._record = self._stat(paths.record.name)

    def check(self) -> None:
        """Raise Lost if the directory, the lock or the record is not the one that was opened.

        If `may_record` is true, the next check passes, so that the failure can be recorded.
        """
        lock = self._stat(self._paths.lock.name)
        record = self._stat(self._paths.record.name)
        if record is None:
            raise Lost("its record was removed", may_record=False)
        if not _is_same(record, self._record):
            raise Lost("its record was replaced", may_record=False)
        if lock is None:
            raise Lost("its lock was removed", may_record=self._lock_again())
        if not _is_same(lock, self._lock):
            raise Lost("its lock was replaced", may_record=False)
        if not (self._moved or _is_same(_stat(self._paths.directory), self._opened)):
            self._moved = True
            raise Lost("its directory was moved", may_record=True)

    def look_after(self) -> None:
        """Check them as `check` does, and keep the log within bounds."""
        self.check()
        output.trim(self._paths.log)

    def close(self) -> None:
        """Let the directory go."""
        os.close(self._directory)

    def lost(self) -> Lost | None:
        """Return the error that `check` would raise, or None."""
        try:
            self.check()
        except Lost as lost:
            return lost
        return None

    def _stat(self, name: str) -> os.stat_result | None:
        return _stat(name, self._directory)

    def _lock_again(self) -> bool:
        """Make and lock a new lock file; return False if another process made one first."""
        with suppress(OSError):
            descriptor = os.open(
                self._paths.lock.name,
                os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW,
                0o600,
                dir_fd=self._directory,
            )
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._lock = os.fstat(descriptor)
            return True
        return False


def _stat(path: os.PathLike[str] | str, directory: int | None = None) -> os.stat_result | None:
    try:
        return os.stat(path, dir_fd=directory, follow_symlinks=directory is None)
    except OSError:
        return None


def _is_same(one: os.stat_result | None, other: os.stat_result | None) -> bool:
    return one is not None and other is not None and os.path.samestat(one, other)
