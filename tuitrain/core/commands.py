"""Wishes: what a user asks of a going run, in the imperative. The answer is always an event."""

from __future__ import annotations

import json
import math
import secrets
import time
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from tuitrain.core.catalog import loss_named
from tuitrain.core.errors import UnknownName, WrongUse
from tuitrain.core.numbers import is_positive
from tuitrain.core.spec import Choice

Boundary = Literal["batch", "epoch"]


@dataclass(frozen=True, slots=True)
class Pause:
    """Hold at the boundary, until told to go on."""

    kind: ClassVar[str] = "pause"
    boundary: ClassVar[Boundary] = "batch"
    detail: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on; or take back a pause that has not come yet."""

    kind: ClassVar[str] = "resume"
    boundary: ClassVar[Boundary] = "batch"
    detail: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class Step:
    """Train `count` batches, then pause."""

    kind: ClassVar[str] = "step"
    boundary: ClassVar[Boundary] = "batch"
    count: int = 1

    def __post_init__(self) -> None:
        if type(self.count) is not int or not 1 <= self.count <= 1 << 40:
            raise WrongUse(f"step takes a whole number of batches from 1, not {self.count}")

    @property
    def detail(self) -> str:
        return str(self.count)


@dataclass(frozen=True, slots=True)
class SwapLoss:
    """Use another loss function."""

    kind: ClassVar[str] = "loss"
    boundary: ClassVar[Boundary] = "epoch"
    loss: str

    def __post_init__(self) -> None:
        if not isinstance(self.loss, str):
            raise WrongUse("loss takes a name")
        object.__setattr__(self, "loss", str(Choice.read("loss", self.loss)))

    @property
    def name(self) -> str:
        """The loss's catalogue name, without its options."""
        return loss_named(self.loss.partition(":")[0]).name

    @property
    def detail(self) -> str:
        return self.loss


@dataclass(frozen=True, slots=True)
class SetPace:
    """Train at most so many batches a second; None: as fast as it goes."""

    kind: ClassVar[str] = "pace"
    boundary: ClassVar[Boundary] = "batch"
    batches_per_s: float | None

    def __post_init__(self) -> None:
        pace = self.batches_per_s
        if pace is not None and not is_positive(pace):
            raise WrongUse(f"pace takes batches a second above 0, or off; not {pace}")

    @property
    def detail(self) -> str:
        return "off" if self.batches_per_s is None else f"{self.batches_per_s:g}"


@dataclass(frozen=True, slots=True)
class Stop:
    """End after this batch, with a checkpoint."""

    kind: ClassVar[str] = "stop"
    boundary: ClassVar[Boundary] = "batch"
    why: str = ""
    """Empty for a user's wish; else what ended the run in its place: a signal, a lost owner."""

    def __post_init__(self) -> None:
        if not isinstance(self.why, str):
            raise WrongUse("a stop's reason is text")

    @property
    def detail(self) -> str:
        return self.why


Wish = Pause | Resume | Step | SwapLoss | SetPace | Stop

WISHES: dict[str, type[Wish]] = {
    each.kind: each for each in (Pause, Resume, Step, SwapLoss, SetPace, Stop)
}


@dataclass(frozen=True, slots=True)
class Request:
    """A wish on its way: who is asked gives its answer under `id`."""

    id: str
    asked_at: float
    """Seconds since the epoch, by the sender's clock; for showing only."""
    wish: Wish
    at: Boundary

    @classmethod
    def new(cls, wish: Wish, at: Boundary | None = None) -> Request:
        """Return the wish with an id of its own; ids of one machine order by time."""
        now = time.time_ns()
        return cls(f"{now:016x}{secrets.token_hex(2)}", now / 1e9, wish, at or wish.boundary)

    def to_json(self) -> str:
        """Return the request as its file in the inbox holds it."""
        body: dict[str, Any] = {
            "id": self.id, "asked_at": self.asked_at, "kind": self.wish.kind, "at": self.at,
            "wish": asdict(self.wish),
        }  # fmt: skip
        return json.dumps(body)

    @classmethod
    def from_json(cls, text: str) -> Request:
        """Return the request that `to_json` wrote; WrongUse, KeyError, ... for anything else."""
        body = json.loads(text)
        if body["kind"] not in WISHES:
            raise UnknownName("wish", str(body["kind"]), WISHES)
        if body["at"] not in ("batch", "epoch"):
            raise UnknownName("boundary", str(body["at"]), ("batch", "epoch"))
        wish = WISHES[body["kind"]](**body["wish"])
        asked_at = float(body["asked_at"])
        if not math.isfinite(asked_at):
            raise WrongUse("a wish was asked at some time")
        return cls(str(body["id"]), asked_at, wish, body["at"])
