"""Messages for errors that end a trainer: one sentence, and what to do next."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from tuitrain.core.errors import TuitrainError, WrongUse, is_full
from tuitrain.core.events import Failed, finished_epoch
from tuitrain.core.safe import safe
from tuitrain.record.recorder import Recorder
from tuitrain.store import inbox
from tuitrain.store.paths import RunPaths
from tuitrain.store.writer import RunWriter
from tuitrain.worker.startup import StopRequested

_OUT_OF_MEMORY = re.compile(
    r"out[ _]of[ _]memory"  # of CUDA, HIP, XPU, MPS, NCCL
    r"|(can't|cannot) allocate memory|not enough memory: you tried|std::bad_alloc"
    r"|_ALLOC(ATION)?_FAILED"  # of cuBLAS, cuDNN, cuFFT, cuSOLVER, cuSPARSE
    r"|CUBLAS_STATUS_NOT_INITIALIZED.*cublasCreate"  # it has no memory for itself
    r"|CUDNN_STATUS_NOT_SUPPORTED.*(insufficient|memory|workspace)"
    r"|Unable to find a valid cuDNN algorithm",  # no workspace for any
    re.IGNORECASE | re.DOTALL,
)
"""Matches the errors of torch and its libraries when they are out of memory."""

_OF_ANOTHER_RANK = re.compile(
    r"gloo|nccl|Connection (was likely )?(closed|reset)|Broken pipe|TCPStore|SocketImpl",
    re.IGNORECASE,
)
"""Matches the errors of a collective operation that another rank has left."""


class OutOfMemory(TuitrainError):
    """Host or device is out of memory; earlier checkpoints are kept."""

    def __init__(self, name: str, batch_size: int) -> None:
        next_step = (
            f"tuitrain resume {name} --batch-size {batch_size // 2}"
            if batch_size > 1
            else "a smaller model needs less"
        )
        super().__init__(
            f"out of memory with batches of {batch_size:,}; its checkpoints are kept: {next_step}"
        )


def record_failure(
    error: BaseException, paths: RunPaths, recorder: Recorder, writer: RunWriter
) -> Failed:
    """Record the error as the last word and return it.

    A start that came to no batch leaves the run as it was: with no change that waits for the next
    start, and finished if it was.
    """
    failure = failure_of(error, paths.name)
    if not recorder.has_started:
        for change in inbox.waiting(paths.inbox):
            change.unlink(missing_ok=True)
        finished = finished_epoch(*writer.events())
        if finished is not None:
            failure = replace(failure, error=f"cannot go on: {failure.error}", finished=finished)
    recorder.fail(failure)
    return failure


def failure_of(error: BaseException, name: str) -> Failed:
    """Return the failure that an error means for the run with that name."""
    if isinstance(error, TuitrainError):
        return Failed(safe(error), error.exit_code)
    if is_out_of_memory(error):
        return Failed("out of memory before the first batch; a smaller model needs less")
    if has_no_room(error):
        reason = safe(getattr(error, "strerror", None) or error)
        return Failed(f"cannot write: {reason}; make room, then: tuitrain resume {safe(name)}")
    from tuitrain.engine.user_errors import has_user_line, user_code_message

    if has_user_line(error):
        return Failed(user_code_message(error))
    message = str(error).partition("\n")[0]
    return Failed(safe(f"{type(error).__name__}: {message}" if message else type(error).__name__))


@contextmanager
def refusing_user_code() -> Iterator[None]:
    """Raise WrongUse for any error of the user's code, `sys.exit()` too, while nothing trains."""
    from tuitrain.engine.user_errors import has_user_line, user_code_message

    try:
        yield
    except (TuitrainError, StopRequested):
        raise
    except BaseException as error:
        if is_out_of_memory(error) or is_full(error) or not has_user_line(error):
            raise
        raise WrongUse(user_code_message(error)) from error


def is_of_another_rank(message: str) -> bool:
    """Return whether a message is of a collective operation that another rank has left."""
    return _OF_ANOTHER_RANK.search(message) is not None


def is_final(error: BaseException) -> bool:
    """Return whether an error of the first of several ranks would come again in a new attempt.

    If not, another rank may have failed, or the network.
    """
    if is_of_another_rank(str(error)):
        return False
    from tuitrain.engine.user_errors import has_user_line

    is_short = is_out_of_memory(error) or has_no_room(error)
    return isinstance(error, TuitrainError) or is_short or has_user_line(error)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether host or device is out of memory; torch has no common type for this."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"MemoryError", "OutOfMemoryError"}:
        return True
    return isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(str(error)) is not None


def has_no_room(error: BaseException) -> bool:
    """Return whether a disk or a quota is full.

    SQLite reports a quota or a size limit as an I/O error.
    """
    full = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    if isinstance(error, sqlite3.OperationalError):
        return error.sqlite_errorcode & 0xFF in full
    return is_full(error)
