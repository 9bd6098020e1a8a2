"""Files that are there whole, or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuitrain.core.errors import Refused, TuitrainError, WrongUse
from tuitrain.core.safe import safe


def check_free(out: Path, *, for_folder: bool) -> None:
    """Raise Refused where something is already, WrongUse where nothing can be.

    An empty folder is free for a folder.
    """
    try:
        is_taken = os.path.lexists(out) and not (
            for_folder and out.is_dir() and not any(out.iterdir())
        )
        has_parent = out.parent.is_dir()
    except OSError as error:
        raise WrongUse(f"cannot look at {safe(out)}: {safe(error.strerror)}") from None
    if is_taken:
        raise Refused(f"{safe(out)} is there already; choose another --out")
    if not has_parent:
        raise WrongUse(f"there is no folder {safe(out.parent)} to put {safe(out.name)} in")


@contextmanager
def atomic_path(out: Path) -> Iterator[Path]:
    """Give a place for a file or folder that becomes `out` when the body ends well.

    Raises TuitrainError where that cannot be written; then nothing is left of it.
    """
    made = out.with_name(f".{out.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield made
        made.rename(out)
    except OSError as error:
        raise TuitrainError(f"cannot write {safe(out)}: {safe(error.strerror)}") from None
    finally:
        if made.is_dir():
            shutil.rmtree(made, ignore_errors=True)
        made.unlink(missing_ok=True)
