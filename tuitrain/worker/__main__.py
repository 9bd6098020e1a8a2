"""The trainer's process: python -m tuitrain.worker RUN_DIRECTORY LOCK_FD [OWNER_PIPE_FD]

It is started by `tuitrain.supervisor`, which hands it the run's lock. The record is opened before
torch is imported, so that even a failing import is a recorded failure. The process ends with its
last word: a reader who hears it finds the lock free a moment later.
"""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path

from tuitrain.core.events import Failed, StartupReached
from tuitrain.store.paths import RunPaths
from tuitrain.store.reserve import give_back
from tuitrain.store.writer import RunWriter
from tuitrain.worker import guard
from tuitrain.worker.failure import failure_of
from tuitrain.worker.files import Files, Lost
from tuitrain.worker.recorder import Recorder


def main(argv: list[str]) -> int:
    """Train the run of that directory to its end and return the exit code."""
    paths, descriptors = RunPaths(Path(argv[0])), [int(text) for text in argv[1:]]
    guard.keep_lock(descriptors[0])
    guard.sign(paths.owner)
    ending = guard.Ending(*descriptors[1:])
    writer = RunWriter(paths.record)
    recorder = Recorder(writer, check=Files(paths, descriptors[0]).check)
    try:
        recorder.take(StartupReached("loading PyTorch"))
        from tuitrain.worker.trainer import train_run

        train_run(paths, paths.read_spec(), writer, recorder, ending)
        _close(paths, recorder, writer)
    except Lost as lost:
        return _give_up(lost, recorder)
    except BaseException as error:  # noqa: BLE001 - whatever ended the run belongs in its record
        give_back(paths.reserve)  # or a full disk would leave no room for its last word
        with suppress(OSError):
            traceback.print_exc()
        traceback.clear_frames(error.__traceback__)  # whatever reads ahead for them ends, too
        failure = failure_of(error, paths.name)
        recorder.fail(failure)
        _close(paths, recorder, writer)
        return failure.exit_code
    return 0


def _close(paths: RunPaths, recorder: Recorder, writer: RunWriter) -> None:
    """Say the last word when everything else is done."""
    guard.end_children()
    give_back(paths.reserve)
    recorder.close()
    writer.close()


def _give_up(lost: Lost, recorder: Recorder) -> int:
    """Say in the log, and in the record if that is still ours, that files were taken away.

    The record is left as a crash leaves it: closing it would write beside whoever has it now.
    """
    with suppress(OSError):
        print(f"tuitrain: {lost}", file=sys.stderr)
    guard.end_children()
    if lost.may_record:
        recorder.fail(Failed(str(lost)))
        recorder.close()
    return lost.exit_code


def _end(code: int) -> None:
    """Leave at once: taking torch apart takes seconds, in which the lock would still be held."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    code = 1
    try:
        code = main(sys.argv[1:])
    except BaseException:  # noqa: BLE001 - the process ends, whatever it is
        traceback.print_exc()
    finally:
        _end(code)
