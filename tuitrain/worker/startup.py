"""Startup before the first batch: it records progress and can be stopped."""

from __future__ import annotations

import time
from collections.abc import Callable

from tuitrain.core.commands import Request, Stop
from tuitrain.core.events import CommandAccepted, StartupReached, Stopped
from tuitrain.record.recorder import Recorder
from tuitrain.store import inbox
from tuitrain.store.paths import RunPaths
from tuitrain.store.writer import RunWriter

_REPORT_EVERY_S = 0.25


class StopRequested(Exception):
    """The run should stop before its first batch."""

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
        if reason := self._ending():
            raise StopRequested(Request.new(Stop(reason)))
        for request in waiting_commands(self._paths):
            if isinstance(request.command, Stop):
                raise StopRequested(request)
        self._recorder.take(StartupReached(stage, done, total))


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
