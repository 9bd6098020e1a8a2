"""Open and write files in an untrusted folder, and say which of a user's files are missing.

A run directory may come from someone else, so no name in it is trusted to be a plain file: links
are not followed, and opening a FIFO does not wait for its other end.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import IO

from tuitrain.core.errors import DamagedRecord, Refused, WrongUse, nearest
from tuitrain.core.safe import safe

_NOT_PLAIN = (errno.ELOOP, errno.ENXIO, errno.EISDIR)
"""Error numbers of opening a link, of a FIFO without a reader, and of a folder for writing."""


class NotPlain(Refused):
    """The path is a link, or is not the plain file or the folder that is expected there."""

    def __init__(self, path: Path, expected: str = "file") -> None:
        what = "a link" if path.is_symlink() else f"not a plain {expected}"
        super().__init__(f"{safe(path)} is {what}: remove it, or use a copy without it")


def expanded(given: str) -> Path:
    """Return the path that a user wrote, with ~ for a home folder; an unknown ~user stays."""
    return Path(os.path.expanduser(given))  # noqa: PTH111 - that of Path raises for such a user


def missing(expected: str, given: str) -> WrongUse:
    """Return the error for a path that is not what is expected there.

    It suggests the nearest name beside it, or says where a relative path begins.
    """
    path = expanded(given)
    if path.is_dir():
        return WrongUse(f"{safe(given)} is a folder; name a file")
    if path.exists():
        return WrongUse(f"{safe(given)} is not a {expected}; name one")
    return WrongUse(f"there is no {expected} {safe(given)}; {_hint(given, path)}")


def _hint(given: str, path: Path) -> str:
    if "://" in given:
        return "download it first"
    with suppress(OSError, ValueError):  # no folder, or a name that none can have
        others = {other.stem: other for other in path.parent.iterdir()}
        if near := nearest(path.stem, others):
            return f"did you mean {safe(others[near])}?"
    return "check the path" if path.is_absolute() else f"paths begin in {safe(Path.cwd())}"


def open_plain(path: Path, flags: int, *, mode: int = 0o600) -> int:
    """Open a plain file and return its descriptor; NotPlain for anything else."""
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno in _NOT_PLAIN:
            raise NotPlain(path) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotPlain(path)
    return descriptor


def read_plain(path: Path) -> BufferedReader:
    """Open a plain file for reading; NotPlain for anything else."""
    return os.fdopen(open_plain(path, os.O_RDONLY), "rb")


def open_new(path: Path, *, mode: int = 0o600) -> int:
    """Create a file and return its descriptor; FileExistsError if the path exists."""
    return open_plain(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode=mode)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a free path beside `path`, for a file or a folder.

    What the body puts there replaces `path` when it succeeds, and is deleted when it raises.
    """
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        remove(temporary)
        raise


@contextmanager
def atomic(path: Path, *, mode: int = 0o600, survives_crash: bool = True) -> Iterator[IO[bytes]]:
    """Yield a new file that replaces `path` when the body succeeds and is deleted when it raises.

    Whatever interrupts this process, `path` is either the old file or the complete new one. If the
    file `survives_crash`, that is true of the machine, too; it waits for the disk.
    """
    with (
        atomic_path(path) as temporary,
        os.fdopen(open_new(temporary, mode=mode), "w+b") as file,
    ):
        yield file
        file.flush()
        if survives_crash:
            os.fsync(file.fileno())
    if survives_crash:
        _sync_folder(path.parent)


def write_atomically(path: Path, text: str, *, survives_crash: bool = True) -> None:
    """Replace `path` with a file that contains the text, as `atomic` does."""
    with atomic(path, survives_crash=survives_crash) as file:
        file.write(text.encode())


def read_text(path: Path, *, most: int) -> str:
    """Return the text of a file of at most `most` bytes.

    Follows a link. Raises DamagedRecord, which names the file, if it is larger, not UTF-8 or not a
    plain file; OSError if it cannot be read.
    """
    # without O_NONBLOCK, opening a FIFO waits for a writer
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DamagedRecord(f"its {path.name} is not a plain file")
        content = _read(descriptor, most + 1)
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise DamagedRecord(f"its {path.name} is larger than {most:,} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise DamagedRecord(f"its {path.name} is not text") from None


def is_plain(path: Path) -> bool:
    """Return whether the path is a plain file or does not exist."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return True


def check_folder(path: Path) -> None:
    """Raise NotPlain if the path exists and is not a folder; a link to a folder is not one."""
    if os.path.lexists(path) and not stat.S_ISDIR(path.lstat().st_mode):
        raise NotPlain(path, "folder")


def fill_standard_descriptors() -> None:
    """Open /dev/null for each of stdin, stdout and stderr that is closed.

    Otherwise the next file that is opened gets its number, and a child process replaces it with
    its own stream.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)  # as the standard ones are
    os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file, or a folder with what is in it; of a link, the link."""
    if path.is_dir() and not path.is_symlink():
        from shutil import rmtree  # the app starts without it

        rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(descriptor: int, most: int) -> bytes:
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(most)
