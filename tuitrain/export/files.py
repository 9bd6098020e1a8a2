"""The file or folder of an export: whether it can be written, and atomically."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuitrain.core.errors import Refused, TuitrainError, WrongUse
from tuitrain.core.files import atomic_path
from tuitrain.core.safe import safe


def check_free(out: Path, *, for_folder: bool) -> None:
    """Raise Refused if `out` exists, WrongUse if it cannot be created.

    An empty folder may be replaced by a folder.
    """
    try:
        is_taken = os.path.lexists(out) and not (
            for_folder and out.is_dir() and not any(out.iterdir())
        )
        has_parent = out.parent.is_dir()
    except OSError as error:
        raise WrongUse(f"cannot read {safe(out)}: {safe(error.strerror)}") from None
    if is_taken:
        raise Refused(f"{safe(out)} is there already; choose another --out")
    if not has_parent:
        raise missing_folder(out)


def missing_folder(out: Path) -> WrongUse:
    """Return the error for a file whose folder does not exist."""
    return WrongUse(f"there is no folder {safe(out.parent)} for {safe(out.name)}; make it first")


@contextmanager
def output_at(out: Path) -> Iterator[Path]:
    """Yield a path for a file or folder, which becomes `out` when it is complete.

    Raises TuitrainError if it cannot be written.
    """
    try:
        with atomic_path(out) as path:
            yield path
    except OSError as error:
        raise TuitrainError(f"cannot write {safe(out)}: {safe(error.strerror)}") from None
