"""Events: facts about a run, in the past tense, recorded when they are true.

`step` counts optimizer steps from 1. `epoch` counts *completed* epochs, except in `BatchDone`,
where it is the number of the epoch in training, from 1. `command` is the id of the request that
an event answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, SupportsFloat, get_args

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
Kept = Literal["weight", "buffer", "state"]
"""What a run keeps from step to step; the last is the optimizer's."""
_CHECKPOINT = re.compile(r"[0-9]{5,12}-take[0-9]{1,12}-step[0-9]{1,15}\.pt")
Settings = Annotated[Mapping[str, Any], holds_scalars]
CheckpointFile = Annotated[str, _CHECKPOINT.fullmatch]
"""A file name in the run's folder of checkpoints. Files are opened and deleted by this name."""
Origin = Annotated[str, lambda file: not file or _CHECKPOINT.fullmatch(file)]


class BatchDone(NamedTuple):
    """One optimizer step. It is a tuple, since a fast loop makes thousands a second."""

    take: int
    step: int
    epoch: int
    loss: SupportsFloat
    """A device scalar, read only when needed: reading it synchronises the device."""
    lr: SupportsFloat
    """A number, or a device scalar, too."""
    samples: int
    marks: Sequence[Any]
    """Stopwatch readings around the five steps; see `tuitrain.engine.device`. In a watched loop
    those of `tuitrain.watcher.times`."""
    nonfinite: SupportsFloat = 0.0
    """1 if the loss or a gradient was not finite and the weights were left unchanged, else 0; a
    device scalar, too."""


DOWNLOADING = "downloading"
"""Prefix of the start-up stage that downloads a file, which may take minutes."""
WATCHING = "watching"
"""Prefix of the stage in which a watched script runs and has taken no step yet."""
WAITING = "waiting for"
"""Begins the stage of a run whose other hosts have not come yet."""


SAMPLES = "data"
"""The condition of a repetition that says how many samples there are."""


class Measured(NamedTuple):
    """Values of series at a step. Like batches, they have their own tables in a record."""

    take: int
    step: int
    values: Mapping[Series, SupportsFloat]
    """Numbers, or device scalars as in `BatchDone.loss`."""


class Detail(NamedTuple):
    """Data of a step that is read only on demand, such as a confusion matrix."""

    take: int
    step: int
    name: str
    body: Mapping[str, Any]
    """A JSON object."""


Fact = BatchDone | Measured | Detail
"""Data that are too frequent or too large to be events."""


@dataclass(frozen=True, slots=True)
class StartupReached:
    """The trainer reached a stage of its start-up, or of a download in it."""

    kind: ClassVar[str] = "startup_reached"
    stage: str
    done: int = 0
    total: int = 0
    """`done` and `total` are bytes downloaded and in all; 0 if unknown, or without a download."""


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
    """Versions, threads, CPU capability: bit-for-bit repetition depends on all of them."""
    settings: Settings = field(default_factory=dict)
    """Those in effect: loss, lr, weight-decay, clip-norm, batch-size, epochs, schedule, pace."""
    problem: Problem = field(default_factory=Problem)
    card: Card = field(default_factory=Card)
    model: str = ""
    """As text for the user, where the spec has no name for it; else empty. So the next one."""
    optimizer: str = ""

    @property
    def conditions(self) -> Mapping[str, str]:
        """The conditions of a repetition: the environment, and the numbers of samples."""
        samples = f"{self.train_samples:,} samples to train, {self.val_samples:,} to validate"
        return {**self.environment, SAMPLES: samples}


@dataclass(frozen=True, slots=True)
class NotFinite:
    """A loss or a gradient was not finite, and the optimizer left the weights unchanged.

    Or what a run keeps was found not finite after that step, and the run went back.
    """

    kind: ClassVar[str] = "not_finite"
    take: Take
    step: Step
    epoch: Epoch
    what: Literal["loss", "gradient"] | Kept
    name: str = ""
    """Of what it keeps: the name of the weight or buffer; of the optimizer's state, after that of
    its weight. Empty for a loss or a gradient. So are the next two, 0."""
    since: Step = 0
    """The step after which all was finite."""
    back_at: Step = 0
    """The step to which the run went back."""

    @property
    def subject(self) -> str:
        """What was not finite; a name in it is the user's own text."""
        what = "optimizer state" if self.what == "state" else self.what
        return f"{what} {self.name}" if self.name else what


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """Every batch of an epoch was trained, and the epoch was validated."""

    kind: ClassVar[str] = "epoch_ended"
    take: Take
    step: Step
    epoch: Epoch
    loss_name: str
    train_loss: float
    val_loss: float | None
    """None if nothing was validated, as a watched script may not."""
    metrics: Mapping[str, float]
    improved: bool
    """True if the monitored metric is better than in every epoch before."""
    val_losses: Mapping[str, float] = field(default_factory=dict)
    """The validation loss by the usual loss, those that the run has used, and those asked for, so
    that epochs are comparable across swaps; with default parameters, and with those in use."""


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
    """`step` and `epoch` are the position at which it was accepted; a resume that trains these
    steps again submits it there again."""


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
    """2 for a command that no run accepts, 3 for one that is not possible now."""


@dataclass(frozen=True, slots=True)
class CommandDropped:
    """An accepted command became void before it was carried out."""

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
class StepsTaken:
    """The batches of a `Step` command are trained; a pause follows."""

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
    value: float | int | str | None
    previous: float | int | str | None
    steps_per_epoch: int
    """The value from now on; a new batch size changes it."""


@dataclass(frozen=True, slots=True)
class RateSwept:
    """A sweep of the learning rate ended, and everything it changed was undone.

    Its points are a detail, `tuitrain.core.detail.RateSweep`, of the same step.
    """

    kind: ClassVar[str] = "rate_swept"
    command: str
    take: Take
    step: Step
    epoch: Epoch
    batches: int
    suggestion: float | None = None
    """None if the loss fell at no rate."""


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
    """File of the checkpoint that the take continues from; empty: from the start of the run."""
    origin_take: Take
    settings: Settings
    """The settings in effect from now on, as in `RunStarted`."""
    steps_per_epoch: int
    left_at: Step
    """The last step of the previous take, which is abandoned."""
    undone: str | None = None
    """For an undo, the id of the command that it reverts."""

    @property
    def went_back_by_itself(self) -> bool:
        """Whether no command asked for it: what the run kept was not finite."""
        return self.why == "rollback" and self.command is None


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """A checkpoint was written to disk, read back and verified."""

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
    """True if its weights and its last validation loss are finite."""
    command: str | None = None
    """The id of the request that it answers; None if the trainer saved it on its own."""


@dataclass(frozen=True, slots=True)
class CheckpointGone:
    """A checkpoint was deleted to make room, or was found damaged."""

    kind: ClassVar[str] = "checkpoint_gone"
    file: CheckpointFile
    why: Literal["pruned", "damaged"]


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning for the user; the run continues."""

    kind: ClassVar[str] = "warned"
    text: str
    take: Take = 1
    step: Step = 0
    """`take` and `step` are the position that it is about; step 0: none in particular."""


@dataclass(frozen=True, slots=True)
class RateReduced:
    """The plateau schedule lowered the learning rate after an epoch."""

    kind: ClassVar[str] = "rate_reduced"
    take: Take
    step: Step
    epoch: Epoch
    scale: float
    """What multiplies the rate that is set, from now on."""
    lr: float
    """The rate of the next step."""
    why: str


@dataclass(frozen=True, slots=True)
class WeightsCompared:
    """A replay ended, and its weights were compared with those of the run that it repeats."""

    kind: ClassVar[str] = "weights_compared"
    with_run: str
    is_same: bool
    """True if they are equal bit for bit."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The run ended before its last epoch: a user or a signal stopped it, or its owner is gone."""

    kind: ClassVar[str] = "stopped"
    command: str | None
    take: Take
    step: Step
    epoch: Epoch
    why: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The run ended: every epoch is trained, or a condition for stopping early is met."""

    kind: ClassVar[str] = "finished"
    take: Take
    step: Step
    epoch: Epoch
    why: str = ""
    """Empty if every epoch is trained, else the reason for stopping early."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The run ended with an error; the log has the traceback."""

    kind: ClassVar[str] = "failed"
    error: str
    exit_code: ExitCode = 1
    finished: Epoch | None = None
    """The last epoch of a run that was finished before and still is: it could not go on."""


Answer = (
    Paused | Resumed | StepsTaken | LossSwapped | SettingChanged | RateSwept | TakeOpened | Stopped
)
"""Events that report that a command took effect, and where."""

Milestone = (
    StartupReached | RunStarted | NotFinite | CheckpointSaved | CheckpointGone | Warned
    | RateReduced | WeightsCompared | Finished | Failed
)  # fmt: skip
"""Events that do not answer a command."""

LastWord = Stopped | Finished | Failed
"""Final events of a trainer: no event follows one until another trainer starts."""

Event = (
    StartupReached | RunStarted | NotFinite | EpochEnded
    | CommandAccepted | CommandRefused | CommandDropped
    | Answer | CheckpointSaved | CheckpointGone | Warned | RateReduced | WeightsCompared
    | Finished | Failed
)  # fmt: skip

EVENTS: dict[str, type[Event]] = {event.kind: event for event in get_args(Event)}


def finished_epoch(*events: Event | None) -> int | None:
    """Return the last epoch of the run if these events end with it finished, else None.

    Neither another start nor one that failed before its first batch changes that.
    """
    for event in reversed(events):
        match event:
            case StartupReached() | Warned():
                continue
            case Finished(epoch=epoch) | Failed(finished=epoch):
                return epoch
            case _:
                return None
    return None


def to_json(event: Event) -> str:
    """Return the event's fields as strict JSON, without its kind."""
    return json.dumps(to_strict(event), separators=(",", ":"))


def from_json(kind: str, body: str) -> Event | None:
    """Return the event that `to_json` wrote, or None for a kind of a newer version.

    Raises DamagedRecord for anything that no trainer writes, so that readers need no more checks.
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
    if name == "lr" and type(value) in (int, float) and value == 0:
        return True  # a watched script may warm up from 0, or have no optimizer
    # a setting that is unknown here was written by a newer version
    return name not in SETTINGS or SETTINGS[name].holds(value)
