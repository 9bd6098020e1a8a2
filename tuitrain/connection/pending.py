"""The commands of one sender that the record of a run has not answered yet."""

from __future__ import annotations

import time
from typing import Any

from tuitrain.connection.client import Client
from tuitrain.connection.silence import why_silent
from tuitrain.core.commands import Boundary, Change, Command, Request
from tuitrain.view.state.snapshot import Snapshot

SILENT_S = 3.0
"""Seconds without an answer, after which a missing answer is reported."""


class PendingCommands:
    """Sends commands, and forgets each when the run has its answer."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._requests: list[Request] = []
        self._waiting_since = 0.0

    def __bool__(self) -> bool:
        return bool(self._requests)

    def send(self, command: Command, at: Boundary | None = None) -> None:
        """Put a command in the inbox of the run. Raises OSError."""
        if not self._requests:
            self._waiting_since = time.monotonic()
        self._requests.append(self._client.send(command, at))

    def update(self, run: Snapshot) -> bool:
        """Forget the answered commands, and return whether there were any.

        The others are withdrawn if the run has ended.
        """
        answered = {intervention.id for intervention in run.interventions}
        unanswered = [request for request in self._requests if request.id not in answered]
        is_answered = len(unanswered) < len(self._requests)
        if is_answered:
            self._waiting_since = time.monotonic()
        self._requests = unanswered
        if run.has_ended:
            self._withdraw()
        return is_answered

    def _withdraw(self) -> None:
        for request in self._requests:
            self._client.withdraw(request)
        self._requests = []

    @property
    def silent_s(self) -> float:
        """Seconds since the oldest command was sent or the last answer came; 0 without one."""
        return time.monotonic() - self._waiting_since if self._requests else 0.0

    @property
    def is_silence_long(self) -> bool:
        """True if a missing answer is to be reported."""
        return self.silent_s > SILENT_S

    def texts(self) -> tuple[str, ...]:
        """Return a text of each command; a last one says how long there was no answer."""
        texts = [
            f"{request.command.kind} {request.command.detail}".strip() for request in self._requests
        ]
        if self.is_silence_long:
            texts.append(f"no answer for {self.silent_s:.0f} s")
        return tuple(texts)

    def why_silent(self, run: Snapshot) -> str:
        """Return why the trainer does not answer; for that it reads files."""
        return why_silent(self._client, run.state)

    def pace_after(self, run: Snapshot) -> float | None:
        """Return the pace that the run will have after these commands, in batches per second."""
        pace: Any = run.settings["pace"]
        for request in self._requests:
            if isinstance(request.command, Change) and request.command.setting == "pace":
                pace = request.command.value
        return None if pace is None else float(pace)
