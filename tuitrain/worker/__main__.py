"""The trainer's process: python -m tuitrain.worker RUN_DIRECTORY LOCK_FD [OWNER_PIPE_FD]

It is started by `tuitrain.supervisor`, which hands it the run's lock. The record is opened before
torch is imported, so that even a failing import is a recorded failure.
"""

from __future__ import annotations

import sys
import traceback
from contextlib import suppress
from pathlib import Path

from tuitrain.core.events import StartupReached
from tuitrain.store.paths import RunPaths
from tuitrain.store.reserve import give_back
from tuitrain.store.writer import RunWriter
from tuitrain.worker import guard
from tuitrain.worker.failure import failure_of
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
        give_back(paths.reserve)  # or a full disk would leave no room for its last word
        with suppress(OSError):
            traceback.print_exc()
        failure = failure_of(error, paths.name)
        recorder.last_word(failure)
        return failure.exit_code
    finally:
        writer.close()
        give_back(paths.reserve)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
