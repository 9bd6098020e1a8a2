"""Ask something of a run, and wait for what its trainer says to it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tuitrain.client import Client
from tuitrain.connection.follower import snapshot
from tuitrain.core.commands import Boundary, Request, Wish
from tuitrain.core.errors import RunEnded
from tuitrain.core.events import Event, WishAccepted, WishDropped, WishRefused
from tuitrain.core.safe import safe
from tuitrain.view import words

_LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Answer:
    """The newest word about a wish."""

    id: str
    kind: str
    detail: str
    state: Literal["accepted", "applied", "refused", "dropped"]
    """Accepted: it waits for its boundary. Applied: it took effect, after `step`."""
    at: Boundary
    step: int | None = None
    epoch: int | None = None
    """Completed epochs by then."""
    reason: str | None = None

    @property
    def is_refusal(self) -> bool:
        """Whether it will not take effect."""
        return self.state in ("refused", "dropped")

    def as_json(self) -> dict[str, Any]:
        """Return the answer as `ctl --json` prints it."""
        return asdict(self)

    def __str__(self) -> str:
        what = f"{self.kind} {self.detail}".strip()
        match self.state:
            case "accepted":
                return f"{what}: accepted, to take effect at the {self.at} boundary"
            case "applied":
                return f"{what}: applied at step {words.count(self.step or 0)}, epoch {self.epoch}"
            case _:
                return f"{what}: {self.state}: {safe(self.reason)}"


def ask(client: Client, wish: Wish, at: Boundary | None = None, *, until_applied: bool) -> Answer:
    """Send the wish and return the answer: the first one, or the one that tells its effect.

    Raises RunEnded if nobody trains the run; then nothing is left in its inbox.
    """
    cursor = client.end()
    if not client.look(cursor).alive:
        raise RunEnded(client.name, snapshot(client).state)
    request = client.send(wish, at)
    answer: Answer | None = None
    while True:
        alive, delta, _ = client.look(cursor)
        cursor = delta.cursor
        for recorded in delta.events:
            answer = _heard(request, recorded.event) or answer
        if answer and (answer.state != "accepted" or not until_applied):
            return answer
        if not alive:
            client.take_back(request)
            raise RunEnded(client.name, snapshot(client).state)
        time.sleep(_LOOK_S)


def _heard(request: Request, event: Event) -> Answer | None:
    if getattr(event, "wish", None) != request.id:
        return None
    about = (request.id, request.wish.kind, request.wish.detail)
    match event:
        case WishAccepted():
            return Answer(*about, "accepted", request.at)
        case WishRefused(reason=reason):
            return Answer(*about, "refused", request.at, reason=reason)
        case WishDropped(reason=reason):
            return Answer(*about, "dropped", request.at, reason=reason)
        case _:
            step, epoch = getattr(event, "step", None), getattr(event, "epoch", None)
            return Answer(*about, "applied", request.at, step, epoch)
