"""Startup before the first batch: it records progress and can be stopped."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tuitrain.core.commands import Request, Stop
from tuitrain.core.events import CommandAccepted, StartupReached, Stopped
from tuitrain.record.recorder import Recorder
from tuitrain.store import inbox
from tuitrain.store.paths import RunPaths
from tuitrain.store.writer import RunWriter

_REPORT_EVERY_S = 0.25


class StopRequested(BaseException):
    """The run should stop before its first batch; no `except Exception` of the user's keeps it."""

    def __init__(self, request: Request) -> None:
        super().__init__(request.command.detail)
        self.request = request


class StartupEvents:
    """Records the progress of a download, and raises StopRequested when the run should end."""

    def __init__(
        self, paths: RunPaths, recorder: Recorder, ending: Callable[[], str | None]
    ) -> None:
        self._paths = paths
        self._recorder = recorder
        self._ending = ending
        self._report_at = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        if time.monotonic() < self._report_at and done != total:
            return
        self._report_at = time.monotonic() + _REPORT_EVERY_S
        if (request := self.stop_request()) is not None:
            raise StopRequested(request)
        self._recorder.take(StartupReached(stage, done, total))

    def stop_request(self) -> Request | None:
        """Return the request to stop, if there is one."""
        if reason := self._ending():
            return Request.new(Stop(reason))
        return waiting_stop(self._paths)


def waiting_stop(paths: RunPaths) -> Request | None:
    """Return the request to stop in the inbox, if there is one."""
    waiting = waiting_commands(paths)
    return next((request for request in waiting if isinstance(request.command, Stop)), None)


@contextmanager
def stoppable(stop_request: Callable[[], Request | None]) -> Iterator[None]:
    """Raise StopRequested inside the block, too, where the user's code may never return.

    A thread looks for a request, and a signal makes the main thread raise. Elsewhere than in the
    main thread, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    requests: list[Request] = []
    is_done = threading.Event()

    def interrupt(_signal: int, _frame: object) -> None:
        raise StopRequested(requests[0])

    def look() -> None:
        while not is_done.wait(_REPORT_EVERY_S):
            if (request := stop_request()) is not None:
                requests.append(request)
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
                return

    before = signal.signal(signal.SIGUSR1, interrupt)
    looker = threading.Thread(target=look, daemon=True)
    looker.start()
    try:
        yield
    finally:
        is_done.set()
        looker.join()
        signal.signal(signal.SIGUSR1, before)


def stop_before_training(
    request: Request, paths: RunPaths, writer: RunWriter, recorder: Recorder
) -> None:
    """Record that the run accepted a stop and stopped, and remove its file from the inbox."""
    take, step, epoch = writer.position()
    command = request.command
    recorder.take(
        CommandAccepted(
            request.id, command.kind, command.detail, request.at, request.asked_at, step, epoch
        )
    )
    recorder.take(Stopped(request.id, take, step, epoch, command.detail))
    (paths.inbox / f"{request.id}.json").unlink(missing_ok=True)


def waiting_commands(paths: RunPaths) -> list[Request]:
    """Return the commands in the inbox; their files stay there."""
    requests = map(inbox.read, inbox.waiting(paths.inbox))
    return [request for request in requests if request is not None]
