"""The trainer's process: python -m tuitrain.worker RUN_DIRECTORY LOCK_FD [OWNER_PIPE_FD]

It is started by `tuitrain.supervisor`, which hands it the run's lock. The record is opened before
torch is imported, so that even a failing import is a recorded failure.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from tuitrain.core.errors import TuitrainError
from tuitrain.core.events import Failed, StartupReached
from tuitrain.core.safe import safe
from tuitrain.store.paths import RunPaths
from tuitrain.store.writer import RunWriter
from tuitrain.worker import guard
from tuitrain.worker.recorder import Recorder


def main(argv: list[str]) -> int:
    """Train the run of that directory to its end and return the exit code."""
    paths, descriptors = RunPaths(Path(argv[0])), [int(text) for text in argv[1:]]
    guard.keep_lock(descriptors[0])
    guard.sign(paths.owner)
    ending = guard.Ending(*descriptors[1:])
    writer = RunWriter(paths.record)
    recorder = Recorder(writer)
    try:
        recorder.take(StartupReached("loading PyTorch"))
        from tuitrain.worker.trainer import train_run

        train_run(paths, paths.read_spec(), writer, recorder, ending)
    except BaseException as error:  # noqa: BLE001 - whatever ended the run belongs in its record
        traceback.print_exc()
        failure = failure_of(error, paths)
        recorder.take(failure)
        return failure.exit_code
    finally:
        writer.close()
    return 0


def failure_of(error: BaseException, paths: RunPaths) -> Failed:
    """Return what a user is told of an error: one sentence, and what to do where that is known."""
    if isinstance(error, TuitrainError):
        return Failed(safe(error), error.exit_code)
    if _is_out_of_memory(error):
        spec = paths.read_spec()
        return Failed(
            f"out of memory with batches of {spec.batch_size}; its checkpoints are kept: tuitrain "
            f"run {spec.task} --init-from {paths.name} --batch-size {max(1, spec.batch_size // 2)}"
        )
    said = str(error).partition("\n")[0]
    return Failed(safe(f"{type(error).__name__}: {said}" if said else type(error).__name__))


def _is_out_of_memory(error: BaseException) -> bool:
    """Return whether host or device ran out; torch has an error of its own for devices only."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"MemoryError", "OutOfMemoryError"}) or "can't allocate memory" in str(
        error
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
