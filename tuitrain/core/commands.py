"""Commands to a running trainer, in the imperative. An event answers each of them."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, ClassVar, Literal, cast, get_args

from tuitrain.core.decode import is_time
from tuitrain.core.errors import UnknownName, WrongUse
from tuitrain.core.live import Live
from tuitrain.core.options import OPTIONS, RunOption
from tuitrain.core.safe import safe

Boundary = Literal["batch", "epoch"]
Epoch = int | Literal["best"]
"""The number of a completed epoch, or `best` for the best one of the lineage."""
_LONGEST_LOSS = 1_000
SETTINGS: Mapping[str, RunOption] = {
    option.key: option for option in OPTIONS.values() if option.live
}
"""The settings that can change during training, besides the loss."""
LIVE: Mapping[str, Live] = {key: option.live for key, option in SETTINGS.items() if option.live}
"""How each of them changes."""
Setting = Annotated[str, SETTINGS.__contains__]
"""A key of `SETTINGS`."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Pause at the boundary until resumed."""

    kind: ClassVar[str] = "pause"
    boundary: ClassVar[Boundary] = "batch"
    detail: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class Resume:
    """Continue training, or cancel a pause that has not taken effect yet."""

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
            count = safe(self.count, limit=40)
            raise WrongUse(f"step takes a whole number of batches from 1, not {count}")

    @classmethod
    def read(cls, text: str) -> Step:
        """Return the command for the number of batches that a user typed."""
        try:
            return cls(int(text))
        except ValueError:
            return cls(cast("int", text))  # which says what it takes

    @property
    def detail(self) -> str:
        return str(self.count)


@dataclass(frozen=True, slots=True)
class SwapLoss:
    """Use another loss function. The trainer checks that it exists and fits."""

    kind: ClassVar[str] = "loss"
    boundary: ClassVar[Boundary] = "epoch"
    loss: str

    def __post_init__(self) -> None:
        if not isinstance(self.loss, str) or not 0 < len(self.loss) <= _LONGEST_LOSS:
            raise WrongUse(f"loss takes a name, not {self.loss!r:.40}; tuitrain losses lists them")

    @property
    def name(self) -> str:
        """The loss's name, without its options."""
        return self.loss.partition(":")[0]

    @property
    def detail(self) -> str:
        return self.loss


@dataclass(frozen=True, slots=True)
class Change:
    """Use another value for a setting; None is `off` where a setting has one."""

    setting: Setting
    value: float | int | str | None

    def __post_init__(self) -> None:
        if self.setting not in SETTINGS:
            raise UnknownName("setting", str(self.setting), SETTINGS)
        SETTINGS[self.setting].check(self.value)

    @classmethod
    def read(cls, setting: Setting, text: str) -> Change:
        """Return the change for the text that a user typed: a number, `off` or a name."""
        return cls(setting, SETTINGS[setting].read(text))

    @property
    def kind(self) -> str:
        return self.setting

    @property
    def boundary(self) -> Boundary:
        return LIVE[self.setting].boundary

    @property
    def detail(self) -> str:
        if isinstance(self.value, str):
            return self.value
        return "off" if self.value is None else repr(self.value).removesuffix(".0")


@dataclass(frozen=True, slots=True)
class SaveCheckpoint:
    """Save a checkpoint at the boundary."""

    kind: ClassVar[str] = "checkpoint"
    boundary: ClassVar[Boundary] = "batch"
    why: str = ""
    """Empty for a user's command, else why the trainer saves a checkpoint on its own."""

    def __post_init__(self) -> None:
        if not isinstance(self.why, str):
            raise WrongUse("a checkpoint's reason is text")

    @property
    def detail(self) -> str:
        return self.why


@dataclass(frozen=True, slots=True)
class Rollback:
    """Restore an epoch's checkpoint but keep the current settings; None: the newest finite one."""

    kind: ClassVar[str] = "rollback"
    boundary: ClassVar[Boundary] = "batch"
    epoch: Epoch | None = None

    def __post_init__(self) -> None:
        if self.epoch is not None:
            _check_epoch(self.epoch)

    @property
    def detail(self) -> str:
        return "" if self.epoch is None else str(self.epoch)


@dataclass(frozen=True, slots=True)
class Undo:
    """Restore the state before the last change, settings included."""

    kind: ClassVar[str] = "undo"
    boundary: ClassVar[Boundary] = "batch"
    detail: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class FindRate:
    """Suggest a learning rate from a sweep of it, which is undone."""

    kind: ClassVar[str] = "lr-find"
    boundary: ClassVar[Boundary] = "batch"
    detail: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop after this batch, with a checkpoint."""

    kind: ClassVar[str] = "stop"
    boundary: ClassVar[Boundary] = "batch"
    why: str = ""
    """Empty for a user's command, else what stopped the run: a signal, a lost owner."""

    def __post_init__(self) -> None:
        if not isinstance(self.why, str):
            raise WrongUse("a stop's reason is text")

    @property
    def detail(self) -> str:
        return self.why


Command = (
    Pause | Resume | Step | SwapLoss | Change | SaveCheckpoint | Rollback | Undo | FindRate | Stop
)

COMMANDS: dict[str, type[Command]] = {
    **{command.kind: command for command in get_args(Command) if command is not Change},
    **dict.fromkeys(SETTINGS, Change),
}

_BARE: Mapping[str, Callable[[], Command]] = {
    kind: command for kind, command in COMMANDS.items() if not fields(command)
}
"""The commands without any detail."""


def command_of(kind: str, detail: str) -> Command:
    """Return the command with that kind and detail; the two define it completely."""
    match kind:
        case "step":
            return Step(int(detail))
        case "loss":
            return SwapLoss(detail)
        case "rollback":
            return Rollback(read_epoch(detail) if detail else None)
        case "stop":
            return Stop(detail)
        case "checkpoint":
            return SaveCheckpoint(detail)
        case _ if kind in SETTINGS:
            return Change.read(kind, detail)
        case _:
            return _BARE[kind]()


def _rising() -> Iterator[int]:
    """Yield the time in nanoseconds, but each time more than before, whatever the clock does."""
    last = 0
    while True:
        last = max(last + 1, time.time_ns())
        yield last


_moments = _rising()


def new_id() -> tuple[str, float]:
    """Return a new id and the time, in seconds since 1970. Ids from one machine sort by time."""
    now = next(_moments)
    return f"{now:016x}{secrets.token_hex(2)}", now / 1e9


@dataclass(frozen=True, slots=True)
class Request:
    """A submitted command. The event that answers it carries the same `id`."""

    id: str
    asked_at: float
    """Seconds since 1970, by the sender's clock; only displayed."""
    command: Command
    at: Boundary

    @classmethod
    def new(cls, command: Command, at: Boundary | None = None) -> Request:
        """Return a request with a new id."""
        if at is not None:
            _check_boundary(at)
        return cls(*new_id(), command, at or command.boundary)

    def to_json(self) -> str:
        """Return the request as the text of its file in the inbox."""
        body: dict[str, Any] = {
            "id": self.id, "asked_at": self.asked_at, "kind": self.command.kind, "at": self.at,
            "command": asdict(self.command),
        }  # fmt: skip
        return json.dumps(body)

    @classmethod
    def again(cls, id: str, command: Command) -> Request:  # noqa: A002 - its field's name
        """Return a request with that id whose command applies at the next batch.

        Its boundary was awaited the first time.
        """
        return cls(id, time.time(), command, "batch")

    @classmethod
    def from_json(cls, text: str) -> Request:
        """Return the request that `to_json` wrote; WrongUse, KeyError, ... for anything else."""
        body = json.loads(text)
        if body["kind"] not in COMMANDS:
            raise UnknownName("command", str(body["kind"]), COMMANDS)
        _check_boundary(body["at"])
        command = COMMANDS[body["kind"]](**body["command"])
        if command.kind != body["kind"]:
            raise WrongUse(f"this is not a {body['kind']} command")
        asked_at = float(body["asked_at"])
        if not is_time(asked_at):
            raise WrongUse(f"asked_at must be a time, not {asked_at}")
        return cls(str(body["id"]), asked_at, command, body["at"])


def read_epoch(text: str) -> Epoch:
    """Return the epoch for the text that a user typed: a number, or `best`; WrongUse if neither."""
    epoch: Any = int(text) if text.isdecimal() else text
    _check_epoch(epoch)
    return cast("Epoch", epoch)


def _check_epoch(epoch: object) -> None:
    if epoch != "best" and not (type(epoch) is int and 0 <= epoch <= 1 << 31):
        raise WrongUse(f"an epoch is the number of a completed one, or best, not {epoch!r:.40}")


def _check_boundary(at: object) -> None:
    if at not in get_args(Boundary):
        raise UnknownName("boundary", str(at), get_args(Boundary))
