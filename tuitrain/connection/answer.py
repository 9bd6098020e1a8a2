"""Send a command to a run, and wait for its trainer to answer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from tuitrain.connection.client import Client
from tuitrain.connection.follower import reads_until_end, snapshot
from tuitrain.connection.silence import why_silent
from tuitrain.core.commands import Boundary, Command, Request, Undo
from tuitrain.core.errors import RunEnded
from tuitrain.core.events import (
    CommandAccepted,
    CommandDropped,
    CommandRefused,
    Event,
    RateSwept,
)
from tuitrain.core.notes import Kind, Note
from tuitrain.core.safe import safe
from tuitrain.core.watched import again
from tuitrain.store.delta import Cursor, Recorded
from tuitrain.view.form.settings import last_change
from tuitrain.view.text import words

_POLL_S = 0.02
_SILENT_S = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The latest status of a command."""

    id: str
    kind: str
    detail: str
    state: Literal["accepted", "applied", "refused", "dropped"]
    """An accepted command waits for its boundary; an applied one took effect after `step`."""
    at: Boundary
    step: int | None = None
    epoch: int | None = None
    """Completed epochs when the command took effect."""
    reason: str | None = None
    suggestion: float | None = None
    """The learning rate that a sweep suggests; None if it suggests none, and for other commands."""
    undone: str | None = None
    """Of an undo, the change that it takes back, in words."""
    exit_code: int = 0
    """Exit code of `ctl`: 2 if the command is invalid, 3 if it is not possible now."""

    @property
    def is_refusal(self) -> bool:
        """True if the command will not take effect."""
        return self.state in ("refused", "dropped")

    def as_json(self) -> dict[str, Any]:
        """Return the answer as `ctl --json` prints it."""
        hidden = ("exit_code",) if self.undone else ("exit_code", "undone")
        return {key: value for key, value in asdict(self).items() if key not in hidden}

    def __str__(self) -> str:
        what = f"{self.kind} {self.detail}".strip()
        what += f" of: {self.undone}" if self.undone else ""
        match self.state:
            case "accepted":
                return f"{what}: accepted, to take effect at the {self.at} boundary"
            case "applied":
                return f"{what}: applied at step {words.count(self.step or 0)}, epoch {self.epoch}"
            case _:
                return f"{what}: {self.state}: {safe(self.reason)}"


def write(client: Client, kind: Kind, text: str) -> Answer:
    """Write a note or a tag at the present position of a run, live or ended.

    Raises WrongUse for a text or a name that cannot be one, and as `Client.write` does.
    """
    note = Note.new(kind, text, snapshot(client).position)
    client.write(note)
    return Answer(note.id, kind, note.text, "applied", "batch", note.step, note.epoch)


def submit(
    client: Client,
    command: Command,
    at: Boundary | None = None,
    *,
    until_applied: bool,
    say: Callable[[str], None] = lambda _: None,
) -> Answer:
    """Send the command and return the first answer, or with `until_applied` the final one.

    If no answer comes within 5 s, call `say` once with the reason and keep waiting. An interruption
    (Ctrl-C) withdraws the command, unless the trainer has already taken it.
    Raises RunEnded if no trainer is alive, or if it ends before that answer.
    """
    cursor = client.record.end()
    if not client.look(cursor).alive:
        raise _ended(client)
    undone = last_change(snapshot(client)) if isinstance(command, Undo) else None
    request = client.send(command, at)
    try:
        for answer in _answers(client, request, cursor, say):
            if undone and not answer.is_refusal:
                answer = replace(answer, undone=undone.description)
            if answer.state != "accepted" or not until_applied:
                return answer
    except BaseException:
        client.withdraw(request)
        raise
    client.withdraw(request)
    raise _ended(client)


def _ended(client: Client) -> RunEnded:
    run = snapshot(client)
    return RunEnded(client.name, run.state, again(run.spec) if run.is_watched else "")


def _answers(
    client: Client, request: Request, cursor: Cursor, say: Callable[[str], None]
) -> Iterator[Answer]:
    """Yield the trainer's answers to the request until the trainer ends."""

    def read(cursor: Cursor) -> tuple[bool, Sequence[Recorded], Cursor]:
        alive, delta, _ = client.look(cursor)
        return alive, delta.events, delta.cursor

    report_at = time.monotonic() + _SILENT_S
    for events in reads_until_end(read, cursor, every_s=_POLL_S):
        for recorded in events:
            if answer := _answer_of(request, recorded.event):
                report_at = math.inf
                yield answer
        if time.monotonic() >= report_at:
            report_at = math.inf
            why = why_silent(client, snapshot(client).state)
            say(f"no answer for {_SILENT_S:.0f} s: {why}")


def _answer_of(request: Request, event: Event) -> Answer | None:
    if getattr(event, "command", None) != request.id:
        return None
    identity = (request.id, request.command.kind, request.command.detail)
    match event:
        case CommandAccepted(at=at):
            return Answer(*identity, "accepted", at)
        case CommandRefused(reason=reason, exit_code=code):
            return Answer(*identity, "refused", request.at, reason=reason, exit_code=code)
        case CommandDropped(reason=reason):
            return Answer(*identity, "dropped", request.at, reason=reason, exit_code=3)
        case _:
            step, epoch = getattr(event, "step", None), getattr(event, "epoch", None)
            suggestion = event.suggestion if isinstance(event, RateSwept) else None
            return Answer(*identity, "applied", request.at, step, epoch, suggestion=suggestion)
