"""The initial weights of a run, from a file or from another run.

A run keeps its own copy of them: it may be resumed long after the original file is deleted.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from tuitrain.core.errors import NoSuchRun, Refused, WrongUse
from tuitrain.core.events import CheckpointGone, CheckpointSaved
from tuitrain.core.files import NotPlain, expanded, is_plain, open_new
from tuitrain.core.safe import safe
from tuitrain.store.delta import Cursor
from tuitrain.store.paths import RunPaths, find_run
from tuitrain.store.reader import RunReader


def weights_file(home: Path, given: str) -> Path:
    """Return the file that --init-from names: that file, or the newest checkpoint of a run."""
    path = expanded(given)
    if path.is_file():
        return path.absolute()
    try:
        paths = find_run(home, given)
    except NoSuchRun:
        raise WrongUse(
            f"{safe(given)} is neither a file of weights nor a run; tuitrain ls lists the runs"
        ) from None
    file = _newest_checkpoint(paths)
    if file is None:
        raise Refused(
            f"{safe(paths.name)} has no checkpoint yet; "
            f"tuitrain ctl {safe(paths.name)} checkpoint saves one"
        )
    checkpoint = paths.checkpoints.absolute() / file
    if not is_plain(checkpoint):
        raise NotPlain(checkpoint)
    return checkpoint


def keep_copy(source: Path, paths: RunPaths, given: str) -> str:
    """Copy the weights into a run directory and return the file's name there.

    Raises WrongUse, which names what the user has `given`, for a file that cannot be read.
    """
    try:
        with source.open("rb") as weights:
            digest = hashlib.file_digest(weights, "sha256").hexdigest()
    except OSError as error:
        raise WrongUse(f"cannot read weights from {safe(given)}: {error.strerror}") from None
    name = f"init-{digest[:12]}.pt"
    with source.open("rb") as weights, os.fdopen(open_new(paths.directory / name), "wb") as copy:
        shutil.copyfileobj(weights, copy)
    return name


def _newest_checkpoint(paths: RunPaths) -> str | None:
    events = [recorded.event for recorded in RunReader(paths.record).since(Cursor()).events]
    gone = {event.file for event in events if isinstance(event, CheckpointGone)}
    saved = [event.file for event in events if isinstance(event, CheckpointSaved)]
    return next((file for file in reversed(saved) if file not in gone), None)
