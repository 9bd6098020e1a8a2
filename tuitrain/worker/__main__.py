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
from tuitrain.core.spec import RunSpec
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

        train_run(paths, RunSpec.from_json(paths.spec.read_text()), writer, recorder, ending)
    except BaseException as error:  # noqa: BLE001 - whatever ended the run belongs in its record
        traceback.print_exc()
        failure = _failure(error)
        recorder.take(failure)
        return failure.exit_code
    finally:
        writer.close()
    return 0


def _failure(error: BaseException) -> Failed:
    if isinstance(error, TuitrainError):
        return Failed(safe(error), error.exit_code)
    said = str(error).partition("\n")[0]
    return Failed(safe(f"{type(error).__name__}: {said}" if said else type(error).__name__))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
