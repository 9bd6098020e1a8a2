"""The launcher of a run with several ranks: python -m tuitrain.worker.launch RUN_DIRECTORY LOCK_FD

It holds the lock of the run, and lets torch's elastic agent start the ranks, the first of which
records. Where one fails, all start anew, and resume the run.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

from tuitrain.core import python
from tuitrain.core.commands import Request, Stop
from tuitrain.core.events import WAITING, Event, Failed, StartupReached
from tuitrain.core.files import write_atomically
from tuitrain.core.safe import safe
from tuitrain.record import process
from tuitrain.record.recording import recording
from tuitrain.store import inbox
from tuitrain.store.disk_reserve import release
from tuitrain.store.paths import RunPaths
from tuitrain.store.reader import RunReader
from tuitrain.worker.__main__ import run_to_end
from tuitrain.worker.agent import (
    RANK_ENDS_WITHIN_S,
    LocalRanks,
    Meeting,
    local_count,
    run_ranks,
)
from tuitrain.worker.failure import failure_of, has_no_room
from tuitrain.worker.rank_failure import Failure
from tuitrain.worker.startup import (
    StopRequested,
    stop_before_training,
    stoppable,
    waiting_stop,
)  # fmt: skip


def main(argv: list[str]) -> int:
    """Train the run of a directory with several ranks, and return the exit code."""
    paths, descriptors = RunPaths(Path(argv[0])), [int(text) for text in argv[1:]]
    faulthandler.enable()
    process.keep_lock(descriptors[0])
    process.write_owner(paths.owner)
    _stop_on_signals(paths)
    for descriptor in descriptors[1:]:
        threading.Thread(target=_stop_without_owner, args=(paths, descriptor), daemon=True).start()
    try:
        failed = _failed(paths, _train(paths))
    except StopRequested as stop:
        release(paths.disk_reserve)
        with recording(paths) as (writer, recorder):
            stop_before_training(stop.request, paths, writer, recorder)
        return 0
    except Exception as error:  # noqa: BLE001 - torch's, of a network and of hosts that do not come
        why = f"the ranks cannot meet: {_reason(error)}"
        failed = failure_of(error, paths.name) if has_no_room(error) else _failed(paths, why)
    last = _last_word(paths)
    if last is None:
        release(paths.disk_reserve)  # space for the last word on a full disk
        _record(paths, failed)
        return 1
    return last.exit_code if isinstance(last, Failed) else 0


def _train(paths: RunPaths) -> str:
    """Let the ranks train, and return why they ended without a last word, if they did."""
    spec = paths.read_spec()
    meeting = Meeting(spec.nnodes, spec.rdzv_endpoint or "", spec.rdzv_id or "")
    starting = "starting the ranks"
    if spec.nnodes > 1:
        starting = f"{WAITING} {spec.nnodes} hosts at {safe(meeting.endpoint)}"
    _record(paths, StartupReached(starting))

    def has_ended(failure: Failure) -> bool:
        if failure.is_last or _last_word(paths) is not None:
            return True
        with suppress(OSError):  # a note for the first of the new ranks
            write_atomically(paths.failed_rank, failure.text)
        _record(paths, StartupReached(starting))
        return False

    command = python.command("tuitrain.worker.rank", str(paths.directory))
    failure = run_ranks(
        LocalRanks(
            local_count(spec.nproc), command, spec.max_restarts, paths.directory, RANK_ENDS_WITHIN_S
        ),
        meeting, has_ended=has_ended, waiting=lambda: stoppable(lambda: waiting_stop(paths)),
    )  # fmt: skip
    return failure.text if failure else "its ranks died unexpectedly"


def _failed(paths: RunPaths, why: str) -> Failed:
    return Failed(f"{why}; tuitrain resume {paths.title} goes on")


def _reason(error: Exception) -> str:
    """Return why the ranks cannot meet: torch's own word is that something has failed."""
    cause = str(error.__cause__ or error)
    if "EADDRINUSE" in cause:
        return "another program listens at the endpoint's port, on this host"
    return safe(cause)


def _stop_on_signals(paths: RunPaths) -> None:
    def stop(number: int, _frame: object) -> None:
        inbox.put(paths.inbox, Request.new(Stop(signal.Signals(number).name)))

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


def _stop_without_owner(paths: RunPaths, pipe: int) -> None:
    """Stop the run once the other end of the pipe is closed: its owner never writes."""
    os.read(pipe, 1)
    inbox.put(paths.inbox, Request.new(Stop("the command that owned the run ended")))


def _last_word(paths: RunPaths) -> Event | None:
    return RunReader(paths.record).last_word()


def _record(paths: RunPaths, event: Event) -> None:
    with recording(paths) as (_, recorder):
        recorder.take(event)


if __name__ == "__main__":
    run_to_end(lambda: main(sys.argv[1:]))
