"""The trainer's process: python -m tuitrain.worker RUN_DIRECTORY LOCK_FD [OWNER_PIPE_FD]

`tuitrain.trainer.supervisor` starts it and passes it the lock of the run; for torchrun, which has
none to pass, see `tuitrain.worker.torchrun`. The record is opened before torch is imported, so that
a failing import is recorded as well. The process ends right after its last word: once it is read,
the lock is soon free.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Literal

from tuitrain.core import cublas
from tuitrain.core.events import Failed, StartupReached, Warned
from tuitrain.record import process
from tuitrain.record.files import Files, Lost
from tuitrain.record.recorder import Recorder
from tuitrain.store.answered import missing_answers_warning
from tuitrain.store.disk_reserve import release
from tuitrain.store.filesystem import network_filesystem
from tuitrain.store.paths import RunPaths
from tuitrain.store.writer import RunWriter
from tuitrain.worker.failure import is_final, record_failure


def main(argv: list[str]) -> int:
    """Train the run in a directory to its end and return the exit code."""
    cublas.repeat()
    paths, descriptors = RunPaths(Path(argv[0])), [int(text) for text in argv[1:]]
    if not descriptors:
        from tuitrain.worker.torchrun import train_rank

        return train_rank(paths)
    process.keep_lock(descriptors[0])
    process.write_owner(paths.owner)
    return train(paths, descriptors[0], process.Ending(*descriptors[1:]))


def train(
    paths: RunPaths,
    lock: int,
    ending: Callable[[], str | None],
    *,
    in_ranks: bool = False,
) -> int:
    """Train the run to its end and return the exit code.

    `lock` is a descriptor of its lock file. The first of several ranks raises an error that the
    loss of another may have caused: its launcher can start them all anew.
    """
    faulthandler.enable()  # a crash in native code leaves the line of the caller in the log
    network = network_filesystem(paths.directory)
    journal: Literal["wal", "delete"] = "delete" if network else "wal"
    writer = RunWriter(paths.record, answered=paths.answered, journal=journal)
    files = Files(paths, lock)
    recorder = Recorder(writer, check=files.look_after, executor=ThreadPoolExecutor(1))
    try:
        recorder.take(StartupReached("loading PyTorch"))
        _warn(recorder, writer, network)
        spec = paths.read_spec()
        from tuitrain.worker.trainer import train_run

        gc.freeze()  # what PyTorch's import made stays: no collection needs to look through it
        if in_ranks:
            from tuitrain.worker.leading import lead

            lead(paths, spec, writer, recorder, ending)
        else:
            train_run(paths, spec, writer, recorder, ending)
        _close(paths, recorder, writer)
    except BaseException as error:
        lost = error if isinstance(error, Lost) else files.lost()
        if lost is not None:  # any other error is a consequence
            return _give_up(lost, recorder)
        if in_ranks and not is_final(error):
            raise
        return _fail(error, paths, recorder, writer)
    return 0


def _warn(recorder: Recorder, writer: RunWriter, network: str | None) -> None:
    """Record warnings about a network file system and about missing answers, each once."""
    if network:
        warning = Warned(
            f"its directory is on a network file system ({network}): the record is kept with a "
            "rollback journal, and must be read and trained on one machine at a time"
        )
        if warning not in writer.events():
            recorder.take(warning)
    if writer.missing_answers:
        text = missing_answers_warning(writer.missing_answers)
        _log(text)
        recorder.take(Warned(text))
        writer.accept_missing()


def _fail(error: BaseException, paths: RunPaths, recorder: Recorder, writer: RunWriter) -> int:
    release(paths.disk_reserve)  # space for the last word on a full disk
    with suppress(OSError):
        traceback.print_exc()
    traceback.clear_frames(error.__traceback__)  # ends data loaders that the frames hold
    failure = record_failure(error, paths, recorder, writer)
    _close(paths, recorder, writer)
    return failure.exit_code


def _close(paths: RunPaths, recorder: Recorder, writer: RunWriter) -> None:
    """Write the last word after all other cleanup, and close the record."""
    process.end_children()
    release(paths.disk_reserve)
    recorder.close()
    writer.close()


def _give_up(lost: Lost, recorder: Recorder) -> int:
    """Report lost files in the log and, if this trainer still owns it, in the record.

    The record is not closed, as in a crash: closing it could write to another trainer's record.
    """
    _log(str(lost))
    process.end_children()
    if lost.may_record:
        recorder.fail(Failed(str(lost)))
        recorder.close()
    return lost.exit_code


def _log(text: str) -> None:
    with suppress(OSError):
        sys.stderr.write(f"tuitrain: {text}\n")
        sys.stderr.flush()


def _end(code: int) -> None:
    """Exit at once: unloading torch takes seconds, during which the lock would still be held."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def run_to_end(train: Callable[[], int]) -> None:
    """Train and end the process with the exit code that `train` returns."""
    code = 1
    try:
        code = train()
    except BaseException:  # noqa: BLE001 - the process ends after any error
        traceback.print_exc()
    finally:
        _end(code)


if __name__ == "__main__":
    run_to_end(lambda: main(sys.argv[1:]))
