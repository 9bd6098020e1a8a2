"""What a user is told of an error that ends a trainer: one sentence, and what to do next."""

from __future__ import annotations

import sqlite3

from tuitrain.core.errors import TuitrainError, is_full
from tuitrain.core.events import Failed
from tuitrain.core.safe import safe


class OutOfMemory(TuitrainError):
    """Host or device had no room for a batch; what was saved before is kept."""

    def __init__(self, name: str, batch_size: int) -> None:
        next_step = (
            f"tuitrain resume {name} --batch-size {batch_size // 2}"
            if batch_size > 1
            else "a smaller model needs less"
        )
        super().__init__(
            f"out of memory with batches of {batch_size}; its checkpoints are kept: {next_step}"
        )


def failure_of(error: BaseException, name: str) -> Failed:
    """Return how the run of that name failed."""
    if isinstance(error, TuitrainError):
        return Failed(safe(error), error.exit_code)
    if is_out_of_memory(error):
        return Failed("out of memory before the first batch; a smaller model needs less")
    if is_full(error) or _is_full_record(error):
        said = safe(getattr(error, "strerror", None) or error)
        return Failed(f"cannot write: {said}; make room, then: tuitrain resume {safe(name)}")
    said = str(error).partition("\n")[0]
    return Failed(safe(f"{type(error).__name__}: {said}" if said else type(error).__name__))


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether host or device ran out; torch has an error of its own for devices only."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or "can't allocate memory" in str(
        error
    )


def _is_full_record(error: BaseException) -> bool:
    """Return whether SQLite could not write: a quota or a limit is an I/O error to it."""
    full = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF in full
