"""Before the first batch: a start tells how far it is, and ends when somebody asks for it."""

from __future__ import annotations

import time
from collections.abc import Callable

from tuitrain.core.commands import Request, Stop
from tuitrain.core.events import CommandAccepted, StartupReached, Stopped
from tuitrain.record.recorder import Recorder
from tuitrain.store import inbox
from tuitrain.store.paths import RunPaths
from tuitrain.store.writer import RunWriter

_TELL_EVERY_S = 0.25


class StopRequested(Exception):
    """Somebody asked for the end before the first batch."""

    def __init__(self, request: Request) -> None:
        super().__init__(request.command.detail)
        self.request = request


class StartupEvents:
    """Tells of a download now and then, and ends it when the run should end."""

    def __init__(
        self, paths: RunPaths, recorder: Recorder, ending: Callable[[], str | None]
    ) -> None:
        self._paths = paths
        self._recorder = recorder
        self._ending = ending
        self._tell_at = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        if time.monotonic() < self._tell_at and done != total:
            return
        self._tell_at = time.monotonic() + _TELL_EVERY_S
        if why := self._ending():
            raise StopRequested(Request.new(Stop(why)))
        for request in asked(self._paths):
            if isinstance(request.command, Stop):
                raise StopRequested(request)
        self._recorder.take(StartupReached(stage, done, total))


def stop_before_training(
    request: Request, paths: RunPaths, writer: RunWriter, recorder: Recorder
) -> None:
    """Record that the run was stopped, as it was asked to be."""
    take, step, epoch = writer.position()
    command = request.command
    recorder.take(
        CommandAccepted(
            request.id, command.kind, command.detail, request.at, request.asked_at, step, epoch
        )
    )
    recorder.take(Stopped(request.id, take, step, epoch, command.detail))
    (paths.inbox / f"{request.id}.json").unlink(missing_ok=True)


def asked(paths: RunPaths) -> list[Request]:
    """Return the commands that wait, and let them wait."""
    found = map(inbox.read, inbox.waiting(paths.inbox))
    return [request for request in found if request is not None]
