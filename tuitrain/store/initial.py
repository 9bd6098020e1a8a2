"""The weights that a run begins with: found by the name of a run or file, and kept beside it.

A run keeps a copy of its own: it may be resumed long after the file that it began with is gone.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from tuitrain.core.errors import NoSuchRun, Refused, WrongUse
from tuitrain.core.events import CheckpointGone, CheckpointSaved
from tuitrain.core.files import open_new
from tuitrain.core.safe import safe
from tuitrain.store.paths import RunPaths, find_run
from tuitrain.store.reader import Cursor, RunReader


def weights_file(home: Path, given: str) -> Path:
    """Return the file that --init-from means: a file itself, or a run's newest checkpoint."""
    path = Path(given).expanduser()
    if path.is_file():
        return path.absolute()
    try:
        paths = find_run(home, given)
    except NoSuchRun:
        raise WrongUse(f"{safe(given)} is neither a file of weights nor a run") from None
    file = _newest_checkpoint(paths)
    if file is None:
        raise Refused(f"{safe(paths.name)} has no checkpoint yet")
    return paths.checkpoints.absolute() / file


def keep_copy(source: Path, paths: RunPaths, given: str) -> str:
    """Copy the weights into a run directory and return the file's name there.

    Raises WrongUse, which names what the user has `given`, for a file that cannot be read.
    """
    try:
        with source.open("rb") as found:
            digest = hashlib.file_digest(found, "sha256").hexdigest()
    except OSError as error:
        raise WrongUse(f"cannot read weights from {safe(given)}: {error.strerror}") from None
    name = f"init-{digest[:12]}.pt"
    with source.open("rb") as found, os.fdopen(open_new(paths.directory / name), "wb") as copy:
        shutil.copyfileobj(found, copy)
    return name


def _newest_checkpoint(paths: RunPaths) -> str | None:
    events = [each.event for each in RunReader(paths.record).since(Cursor()).events]
    gone = {each.file for each in events if isinstance(each, CheckpointGone)}
    saved = [each.file for each in events if isinstance(each, CheckpointSaved)]
    return next((file for file in reversed(saved) if file not in gone), None)
