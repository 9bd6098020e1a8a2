"""Facts that a run states about itself, in the past tense: true when they are written.

`step` counts optimizer steps from 1; `epoch` counts *completed* epochs, except in `BatchDone`,
where it is the epoch in hand, from 1. `command` is the id of the request that an event answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, SupportsFloat, cast

from tuitrain.core.commands import SETTINGS, Boundary, Setting
from tuitrain.core.decode import at_most, decoded, holds_scalars, is_time, parsed
from tuitrain.core.errors import DamagedRecord
from tuitrain.core.numbers import to_strict
from tuitrain.core.problem import Card, Problem
from tuitrain.core.series import Series

Take = Annotated[int, at_most(1 << 22, least=1)]
Step = Annotated[int, at_most((1 << 40) - 1)]
Epoch = Annotated[int, at_most(1 << 31)]
Moment = Annotated[float, is_time]
"""Seconds since 1970, by the sender's clock."""
ExitCode = Annotated[int, at_most(255)]
_CHECKPOINT = re.compile(r"[0-9]{5,12}-take[0-9]{1,12}-step[0-9]{1,15}\.pt")
Settings = Annotated[Mapping[str, Any], holds_scalars]
CheckpointFile = Annotated[str, _CHECKPOINT.fullmatch]
"""A name in the run's folder of checkpoints: files are opened and deleted by it."""
Origin = Annotated[str, lambda file: not file or _CHECKPOINT.fullmatch(file)]


class BatchDone(NamedTuple):
    """One optimizer step. A tuple, since a fast loop makes thousands a second."""

    take: int
    step: int
    epoch: int
    loss: SupportsFloat
    """A device scalar until it is read: reading it earlier would synchronise the device."""
    lr: float
    samples: int
    marks: tuple[Any, ...]
    """Readings of the stopwatch around the five steps; see `tuitrain.engine.device`."""
    nonfinite: SupportsFloat = 0.0
    """1 if the loss or a gradient was not finite and the weights were left as they were, else 0;
    a device scalar, too."""


DOWNLOADING = "downloading"
"""Prefix of the start-up stage that waits for the network, which may take minutes."""


class Measured(NamedTuple):
    """Values of series at a step; as batches, they have tables of their own in a record."""

    take: int
    step: int
    values: Mapping[Series, SupportsFloat]
    """Device scalars, as the loss of a batch is one, or numbers."""


class Detail(NamedTuple):
    """Data of a step that is read only on demand, such as a confusion matrix."""

    take: int
    step: int
    name: str
    body: Mapping[str, Any]
    """JSON."""


Fact = BatchDone | Measured | Detail
"""Data that is too frequent or too large to be an event."""


@dataclass(frozen=True, slots=True)
class StartupReached:
    """The trainer is in a stage before the first batch."""

    kind: ClassVar[str] = "startup_reached"
    stage: str
    done: int = 0
    total: int = 0
    """Bytes downloaded so far, and in total; 0 if there is no download."""


@dataclass(frozen=True, slots=True)
class RunStarted:
    """Model, data and device are ready; the first batch follows."""

    kind: ClassVar[str] = "run_started"
    device: str
    steps_per_epoch: int
    parameters: int
    train_samples: int
    val_samples: int
    environment: Mapping[str, str]
    """What bit-for-bit repetition depends on: versions, threads, CPU capability."""
    settings: Settings = field(default_factory=dict)
    """Those in use now: loss, lr, weight-decay, clip-norm, batch-size, epochs, pace."""
    problem: Problem | None = None
    """None in records of older versions."""
    card: Card = field(default_factory=Card)
    model: str = ""
    """As text for the user, where the spec has no name for it; else empty. So the next one."""
    optimizer: str = ""


@dataclass(frozen=True, slots=True)
class NotFinite:
    """A loss or a gradient was not finite; the optimizer left the weights as they were."""

    kind: ClassVar[str] = "not_finite"
    take: Take
    step: Step
    epoch: Epoch
    what: Literal["loss", "gradient"]


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """Every batch of an epoch was seen and validated."""

    kind: ClassVar[str] = "epoch_ended"
    take: Take
    step: Step
    epoch: Epoch
    loss_name: str
    train_loss: float
    val_loss: float
    metrics: Mapping[str, float]
    improved: bool
    """The leading metric is better than in any epoch before."""
    val_losses: Mapping[str, float] = field(default_factory=dict)
    """The same outputs evaluated by every loss that fits, so that epochs compare across swaps: each
    with its default parameters, and the one in use with its own as well."""


@dataclass(frozen=True, slots=True)
class CommandAccepted:
    """The trainer accepted the command and will apply it at the boundary."""

    kind: ClassVar[str] = "command_accepted"
    command: str
    asks: str
    detail: str
    at: Boundary
    asked_at: Moment
    step: Step = 0
    epoch: Epoch = 0
    """Where it was accepted: a resume that trains these steps again submits it again there."""


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """The command was not possible; nothing changed."""

    kind: ClassVar[str] = "command_refused"
    command: str
    asks: str
    detail: str
    reason: str
    asked_at: Moment
    exit_code: ExitCode = 3
    """2 for a command that was wrong, whatever the run; 3 for one that is not possible now."""


@dataclass(frozen=True, slots=True)
class CommandDropped:
    """An accepted command became void before its boundary."""

    kind: ClassVar[str] = "command_dropped"
    command: str
    reason: str


@dataclass(frozen=True, slots=True)
class Paused:
    """Training paused."""

    kind: ClassVar[str] = "paused"
    command: str | None
    take: Take
    step: Step
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class Resumed:
    """Training continued."""

    kind: ClassVar[str] = "resumed"
    command: str | None
    take: Take
    step: Step
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class Stepped:
    """The batches of a `Step` are trained; a pause follows."""

    kind: ClassVar[str] = "stepped"
    command: str
    take: Take
    step: Step
    epoch: Epoch
    count: int


@dataclass(frozen=True, slots=True)
class LossSwapped:
    """Every batch after `step` uses another loss."""

    kind: ClassVar[str] = "loss_swapped"
    command: str
    take: Take
    step: Step
    epoch: Epoch
    loss: str
    previous: str


@dataclass(frozen=True, slots=True)
class SettingChanged:
    """Every batch after `step` uses another value of a setting."""

    kind: ClassVar[str] = "setting_changed"
    command: str
    take: Take
    step: Step
    epoch: Epoch
    setting: Setting
    value: float | int | None
    previous: float | int | None
    steps_per_epoch: int
    """From now on; a batch size changes it."""


@dataclass(frozen=True, slots=True)
class TakeOpened:
    """Training continues from an older checkpoint in a new take."""

    kind: ClassVar[str] = "take_opened"
    command: str | None
    take: Take
    step: Step
    epoch: Epoch
    why: Literal["undo", "rollback", "resume"]
    origin: Origin
    """File of the checkpoint that it goes on from; empty: from the very beginning."""
    origin_take: Take
    settings: Settings
    """Those in use from now on, as in `RunStarted`."""
    steps_per_epoch: int
    left_at: Step
    """The last step of the previous take, which is abandoned."""
    undone: str | None = None
    """Of an undo: the id of the command that it took back."""


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """A checkpoint is on the disk, read back and found whole."""

    kind: ClassVar[str] = "checkpoint_saved"
    take: Take
    step: Step
    epoch: Epoch
    why: str
    file: CheckpointFile
    bytes: int
    sha256: str
    weights_sha256: str
    is_between_epochs: bool = True
    is_finite: bool = True
    """Its weights are, and so was its last validation."""
    command: str | None = None
    """The request that it answers; None if the trainer saved it by itself."""


@dataclass(frozen=True, slots=True)
class CheckpointGone:
    """A checkpoint was deleted to make room, or found damaged."""

    kind: ClassVar[str] = "checkpoint_gone"
    file: CheckpointFile
    why: Literal["pruned", "damaged"]


@dataclass(frozen=True, slots=True)
class Warned:
    """Something unexpected happened that a user should know; the run continues."""

    kind: ClassVar[str] = "warned"
    text: str
    take: Take = 1
    step: Step = 0
    """Where it belongs; 0: nowhere in particular."""


@dataclass(frozen=True, slots=True)
class WeightsCompared:
    """A replay ended and compared its weights with those of the run that it repeats."""

    kind: ClassVar[str] = "weights_compared"
    with_run: str
    is_same: bool
    """To the last bit."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Ended before its last epoch, as a user asked."""

    kind: ClassVar[str] = "stopped"
    command: str | None
    take: Take
    step: Step
    epoch: Epoch
    why: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Every epoch is trained."""

    kind: ClassVar[str] = "finished"
    take: Take
    step: Step
    epoch: Epoch
    why: str = ""
    """Empty for the last epoch; else the reason for stopping early."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The run ended by an error; the log has the traceback."""

    kind: ClassVar[str] = "failed"
    error: str
    exit_code: ExitCode = 1


Answer = Paused | Resumed | Stepped | LossSwapped | SettingChanged | TakeOpened | Stopped
"""Events that say that a command took effect, and where."""

Milestone = (
    StartupReached | RunStarted | NotFinite | CheckpointSaved | CheckpointGone | Warned
    | WeightsCompared | Finished | Failed
)  # fmt: skip
"""Events that do not answer a command."""

LastWord = Stopped | Finished | Failed
"""Events that a trainer ends with: nothing comes after one until another trainer starts."""

Event = (
    StartupReached | RunStarted | NotFinite | EpochEnded
    | CommandAccepted | CommandRefused | CommandDropped
    | Answer | CheckpointSaved | CheckpointGone | Warned | WeightsCompared | Finished | Failed
)  # fmt: skip

EVENTS: dict[str, type[Event]] = {
    event.kind: event
    for event in (
        StartupReached, RunStarted, NotFinite, EpochEnded,
        CommandAccepted, CommandRefused, CommandDropped,
        Paused, Resumed, Stepped, LossSwapped, SettingChanged, TakeOpened, CheckpointSaved,
        CheckpointGone, Warned, WeightsCompared, Stopped, Finished, Failed,
    )
}  # fmt: skip


def to_json(event: Event) -> str:
    """Return the event's fields as strict JSON; its kind is stored beside it."""
    return json.dumps(to_strict(asdict(event)), separators=(",", ":"))


def from_json(kind: str, body: str) -> Event | None:
    """Return the event that `to_json` wrote, or None for a kind of a newer version.

    Raises DamagedRecord for what no trainer writes: nothing in an event needs to be checked again.
    """
    if kind not in EVENTS:
        return None
    try:
        event: Event = decoded(EVENTS[kind], parsed(body))
        _check(event)
    except DamagedRecord as error:
        raise DamagedRecord(f"its record is damaged: in {kind}, {error}") from None
    return event


def _check(event: Event) -> None:
    """Raise DamagedRecord for fields that are valid one by one but inconsistent."""
    match event:
        case SettingChanged(setting=setting, value=value):
            _check_settings({setting: value})
        case RunStarted(settings=settings):
            _check_settings(settings)
        case TakeOpened(take=take, origin_take=origin_take, settings=settings):
            _check_settings(settings)
            if origin_take >= take or "loss" not in settings:
                raise DamagedRecord(f"take {take} cannot go on from take {origin_take}")
        case _:
            pass


def _check_settings(settings: Mapping[str, object]) -> None:
    for name, value in settings.items():
        is_right = isinstance(value, str) if name == "loss" else _may_be(name, value)
        if not is_right:
            raise DamagedRecord(f"its {name} is {value!r:.60}")


def _may_be(name: str, value: object) -> bool:
    return name not in SETTINGS or SETTINGS[cast("Setting", name)].holds(
        value
    )  # one of a newer version: unknown
