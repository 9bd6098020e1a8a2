"""The copies of a user's Python files in a run directory: RUN/code.

`code.json` has, for each file that the run names, the folder of the original and the digests of the
file and of what it imports from that folder. Both are untrusted: a run directory can come by mail.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from tuitrain.core.decode import parsed
from tuitrain.core.errors import DamagedRecord, Refused
from tuitrain.core.files import check_folder, open_new, open_plain, read_text, write_atomically
from tuitrain.core.known_code import LARGEST_FILE, KnownCode, is_of
from tuitrain.core.own import own_python
from tuitrain.core.safe import safe

_MANIFEST = "code.json"
_LARGEST_MANIFEST = 1 << 20
_MOST_FILES, _MOST_PARTS = 2000, 16
_NAME = re.compile(r"[^/\0]*[^/\0.][^/\0]*\.py", re.DOTALL)
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FileCopy:
    """A run's copy of one file that it names."""

    origin: Path
    """The folder of the original."""
    files: Mapping[str, str]
    """SHA-256 by path in that folder: the file itself, and its local imports."""


def folder_of(name: str) -> str:
    """Return the folder, in RUN/code, of the copies of a file of that name."""
    return name.removesuffix(".py")


def read_manifest(code: Path) -> dict[str, FileCopy]:
    """Return what a run has of the user's code, by the names of the files.

    Raises DamagedRecord, in one sentence, for what no trainer wrote.
    """
    try:
        check_folder(code)
        manifest = parsed(read_text(code / _MANIFEST, most=_LARGEST_MANIFEST))
    except FileNotFoundError:
        return {}
    except (OSError, Refused, DamagedRecord) as error:
        raise DamagedRecord(f"its code/{_MANIFEST} is damaged: {safe(error)}") from None
    return {_name(name): _kept(entry) for name, entry in manifest.items()}


def write_manifest(code: Path, kept: Mapping[str, FileCopy]) -> None:
    """Write `code.json`."""
    body = {
        name: {"from": str(entry.origin), "files": dict(entry.files)}
        for name, entry in kept.items()
    }
    write_atomically(code / _MANIFEST, json.dumps(body, indent=1))


def read_copy(code: Path, name: str, file: str, digest: str) -> bytes:
    """Return the text of a copy; DamagedRecord for a link, and for what is not that digest's."""
    path = code / folder_of(name) / file
    try:
        for folder in path.relative_to(code).parents:
            check_folder(code / folder)
        with os.fdopen(open_plain(path, os.O_RDONLY), "rb") as opened:
            text = opened.read(LARGEST_FILE + 1)
    except (OSError, ValueError, Refused) as error:
        raise DamagedRecord(f"its copy of {safe(file)} cannot be read: {safe(error)}") from None
    if hashlib.sha256(text).hexdigest() != digest:
        raise DamagedRecord(f"its copy of {safe(file)} is not what was kept")
    return text


def write_copy(code: Path, name: str, file: str, text: bytes) -> None:
    """Write a copy that only its owner can read, unless it is there."""
    path = code / folder_of(name) / file
    for folder in reversed(path.relative_to(code.parent).parents):
        (code.parent / folder).mkdir(mode=0o700, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(open_new(path), "wb") as opened:
        opened.write(text)


def check_known(code: Path, known: KnownCode) -> None:
    """Raise Refused for code that this user never started by name, DamagedRecord for damage."""
    for name, kept in read_manifest(code).items():
        for file, digest in kept.files.items():
            read_copy(code, name, file, digest)
            if not known.has(digest):
                raise Refused(unknown(code / folder_of(name) / file))


def named_by_path(code: Path, text: str) -> str:
    """Return a text that names one of the run's files, such as `losses.py:focal`, with its path.

    That is the original while it, and all that it imports, is what the run has; else the copy.
    """
    own = own_python(text)
    kept = read_manifest(code).get(Path(own.file).name) if own is not None else None
    if own is None or kept is None:
        return text
    name = Path(own.file).name
    is_same = all(is_of(kept.origin / file, digest) for file, digest in kept.files.items())
    path = kept.origin / name if is_same else code.absolute() / folder_of(name) / name
    return str(replace(own, file=str(path)))


def unknown(file: Path) -> str:
    """Return why a file is not executed, and what to do."""
    return (
        f"it would execute {safe(file)}, which you never started by name: read it, and if you "
        f"trust it, name it in a run of your own first: tuitrain run {safe(file)}"
    )


def packed(code: Path) -> list[tuple[str, str, dict[str, str]]]:
    """Return all that a run has of the user's code, as plain values for `unpack` to write.

    It is a list of name, folder of the original, and the files in Latin-1, which has any byte.
    """
    return [
        (name, str(kept.origin), {
            file: read_copy(code, name, file, digest).decode("latin-1")
            for file, digest in kept.files.items()
        })
        for name, kept in read_manifest(code).items()
    ]  # fmt: skip


def unpack(code: Path, entries: Sequence[tuple[str, str, Mapping[str, str]]]) -> None:
    """Write what `packed` returned for another rank of the same run."""
    kept = {}
    for name, origin, files in entries:
        texts = {file: text.encode("latin-1") for file, text in files.items()}
        for file, text in texts.items():
            write_copy(code, name, file, text)
        digests = {file: hashlib.sha256(text).hexdigest() for file, text in texts.items()}
        kept[name] = FileCopy(Path(origin), digests)
    if kept:
        write_manifest(code, kept)


def copy_code(parent: Path, child: Path) -> None:
    """Copy all that a run has of the user's code to a run made from it."""
    kept = read_manifest(parent)
    for name, entry in kept.items():
        for file, digest in entry.files.items():
            write_copy(child, name, file, read_copy(parent, name, file, digest))
    if kept:
        write_manifest(child, kept)


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise DamagedRecord(f"its code/{_MANIFEST} is damaged: {safe(name, limit=80)!r} is no file")
    return name


def _kept(entry: object) -> FileCopy:
    match entry:
        case {"from": str(origin), "files": dict(files)} if len(files) <= _MOST_FILES:
            if (
                Path(origin).is_absolute()
                and "\0" not in origin
                and all(map(_is_file, files.items()))
            ):
                return FileCopy(Path(origin), files)
    raise DamagedRecord(f"its code/{_MANIFEST} is damaged: it has files that no run has")


def _is_file(item: tuple[str, object]) -> bool:
    """Return whether a path stays in its folder, and has a digest."""
    file, digest = item
    path = PurePosixPath(file)
    is_inside = not path.is_absolute() and ".." not in path.parts and len(path.parts) <= _MOST_PARTS
    is_digest = isinstance(digest, str) and _DIGEST.fullmatch(digest) is not None
    return is_inside and _NAME.fullmatch(path.name) is not None and is_digest
