"""The launcher of a watched script's ranks: python -m tuitrain.watcher.launch RUN_DIRECTORY LOCK_FD

Its arguments after that are SCRIPT ARGS..., or -m MODULE ARGS... It holds the lock of the run, and
lets torch's elastic agent, the engine of torchrun, start the ranks, the first of which records.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

from tuitrain.core import python
from tuitrain.core.commands import Request, Stop
from tuitrain.core.events import Event, Failed, RunStarted, StartupReached, Stopped
from tuitrain.core.files import write_atomically
from tuitrain.core.safe import safe
from tuitrain.record import process
from tuitrain.record.recording import recording
from tuitrain.store import inbox
from tuitrain.store.disk_reserve import release
from tuitrain.store.paths import RunPaths
from tuitrain.store.reader import RunReader
from tuitrain.watcher import ranks
from tuitrain.worker.agent import LocalRanks, Meeting, local_count, run_ranks
from tuitrain.worker.rank_failure import Failure
from tuitrain.worker.startup import stop_before_training, waiting_commands

_LOOK_S = 0.25
_PATIENCE_S = 5.0
_INTERRUPTED = 128 + signal.SIGINT


class _Insisted(Exception):
    """The ranks shall end at once."""


def main(argv: list[str]) -> int:
    """Run a script in several ranks, and return its exit code."""
    directory, lock, *command = argv
    paths = RunPaths(Path(directory))
    signals = _Signals(paths, process.keep_lock(int(lock)))
    process.write_owner(paths.owner)
    with recording(paths) as (_, recorder):
        recorder.take(StartupReached("starting the ranks"))
    signals.watch()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as torchrun does
    failure: Failure | None = None

    def has_ended(failed: Failure) -> bool:
        with suppress(OSError):  # a note for rank 0, if it records
            write_atomically(paths.failed_rank, failed.text)
        return False

    with suppress(_Insisted):
        count = local_count(paths.read_spec().nproc)
        line = python.command("tuitrain.watcher.rank", directory, *command)
        failure = run_ranks(
            LocalRanks(count, line, 0, paths.directory), Meeting(), has_ended=has_ended
        )
    last = None if signals.is_run_over else _ended(paths, failure)
    if failure is not None:
        code = failure.exit_code
        return code if code > 0 else 128 - code
    if isinstance(last, Stopped):
        return _INTERRUPTED if last.why == signal.SIGINT.name else 0
    return last.exit_code if isinstance(last, Failed) else 0


def _ended(paths: RunPaths, failure: Failure | None) -> Event:
    """Record the end if rank 0 could not, and return it."""
    last = RunReader(paths.record).last_word() or _last_word(paths, failure)
    paths.failed_rank.unlink(missing_ok=True)
    return last


def _last_word(paths: RunPaths, failure: Failure | None) -> Event:
    """Record why the ranks ended, and return it."""
    stop = next((one for one in waiting_commands(paths) if isinstance(one.command, Stop)), None)
    release(paths.disk_reserve)  # space for it on a full disk
    with recording(paths) as (writer, recorder):
        if stop is not None and failure is None:
            stop_before_training(stop, paths, writer, recorder)
            return Stopped(stop.id, *writer.position(), stop.command.detail)
        text = failure.text if failure else "its ranks died unexpectedly"
        failed = Failed(safe(text))
        recorder.take(failed)
        return failed


class _Signals:
    """Turns a signal into a request to stop, and lets the ranks end where no step carries it out.

    That is before the first step, and some seconds after a signal.
    """

    is_run_over = False
    """Whether rank 0 has ended the record, while the script goes on: the run is no more ours."""

    def __init__(self, paths: RunPaths, release_lock: Callable[[], None]) -> None:
        self._paths, self._release_lock = paths, release_lock
        self._came_at: float | None = None

    def watch(self) -> None:
        """Look from now on."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        signal.signal(ranks.GAVE_UP, self._let_go)
        threading.Thread(target=self._look, daemon=True).start()

    def _let_go(self, _number: int, _frame: FrameType | None) -> None:
        self.is_run_over = True
        self._release_lock()

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self._came_at is not None or self.is_run_over:
            raise _Insisted
        self._came_at = time.monotonic()
        inbox.put(self._paths.inbox, Request.new(Stop(signal.Signals(number).name)))

    def _look(self) -> None:
        while not (self._has_request() and (self._is_overdue() or not self._has_started())):
            time.sleep(_LOOK_S)
            if self.is_run_over:
                return
        self._came_at = time.monotonic()
        os.kill(os.getpid(), signal.SIGTERM)

    def _has_request(self) -> bool:
        return any(isinstance(one.command, Stop) for one in waiting_commands(self._paths))

    def _is_overdue(self) -> bool:
        return self._came_at is not None and time.monotonic() - self._came_at > _PATIENCE_S

    def _has_started(self) -> bool:
        return any(
            isinstance(event, RunStarted) for event in RunReader(self._paths.record).events()
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
