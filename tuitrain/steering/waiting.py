"""Commands that were accepted and wait for their boundary."""

from __future__ import annotations

from collections.abc import Iterator

from tuitrain.core.commands import Pause, Request
from tuitrain.steering.changes import is_change
from tuitrain.steering.schedule import Schedule
from tuitrain.steering.steerable import Steerable


class Waiting:
    """The commands in order of arrival; none blocks a later one."""

    def __init__(self, run: Steerable) -> None:
        self.commands: list[Request] = []
        self._run = run

    @property
    def pauses(self) -> list[Request]:
        """Those that pause the run."""
        return [request for request in self.commands if isinstance(request.command, Pause)]

    def elsewhere(self, request: Request) -> list[Request]:
        """Return those that are the same command, but wait for another boundary."""
        return [
            other
            for other in self.commands
            if other.command == request.command and other.at != request.at
        ]

    def due(self, schedule: Schedule) -> Iterator[Request]:
        """Remove and yield the commands that are due, one by one.

        It searches anew after each: the previous command may have cancelled another, or have
        restored a position between two epochs.
        """
        while command := next(
            (request for request in self.commands if self._is_due(request, schedule)), None
        ):
            self.commands.remove(command)
            yield command

    def _is_due(self, request: Request, schedule: Schedule) -> bool:
        run = self._run
        if is_change(request.command) and schedule.catches_up:
            return False  # it was sent after the changes that remain to be reapplied
        if isinstance(request.command, Pause) and run.position.step == 0:
            return request.at == "batch"  # the end of an epoch is after it, not before the first
        return request.at == "batch" or run.is_between_epochs
