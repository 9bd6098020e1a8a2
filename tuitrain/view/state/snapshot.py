"""The state of one run at one moment; `tuitrain.view.state.fold` updates it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tuitrain.core.events import CheckpointSaved, EpochEnded, RunStarted, StartupReached
from tuitrain.core.notes import Note
from tuitrain.core.own import title_of
from tuitrain.core.problem import Problem
from tuitrain.core.safe import safe
from tuitrain.core.segment import Segment
from tuitrain.core.spec import RunSpec
from tuitrain.history.epoch_boundaries import EpochBoundaries
from tuitrain.history.lineage import Lineage
from tuitrain.store.delta import Recorded
from tuitrain.store.schema import BatchRow
from tuitrain.store.series import Summary
from tuitrain.view.state.evaluated import Evaluated

State = Literal[
    "starting", "running", "pausing", "paused", "finished", "stopped", "failed", "crashed"
]
FIRST_STAGE = "starting the trainer"
FIRST_STAGE_WATCHED = "starting the script"
LAST_STAGE = "waiting for the first batch"
DELETED = "the run was deleted"
DIED = "the trainer process died unexpectedly"
_LONG_S = 10
ENDED = ("finished", "stopped", "failed", "crashed")


@dataclass(frozen=True, slots=True)
class Intervention:
    """A command and its outcome."""

    id: str
    kind: str
    detail: str
    asked_at: float
    state: Literal["pending", "applied", "refused", "undone", "dropped"]
    at: str = ""
    step: int | None = None
    epoch: int | None = None
    take: int | None = None
    reason: str | None = None


class Silence(NamedTuple):
    """A batch or a validation that takes long."""

    seconds: float
    where: str = ""
    """File, line and function of the user's code that the trainer is in, if it is in some."""
    is_validating: bool = False

    @property
    def is_long(self) -> bool:
        """True if the screen is to say so."""
        return self.seconds >= _LONG_S


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The data of all panels."""

    name: str
    directory: Path
    spec: RunSpec
    created_at: float
    state: State = "starting"
    stage: str = FIRST_STAGE
    loaded: tuple[int, int] = (0, 0)
    """Downloaded bytes and total bytes; 0 if unknown."""
    pid: int | None = None
    busy: Silence | None = None
    """The cause, if the next batch takes long."""
    lineage: Lineage = field(default_factory=Lineage)
    """The segments that led to the present weights, and the abandoned ones."""
    started: RunStarted | None = None
    latest: BatchRow | None = None
    position: tuple[int, int, int] = (1, 0, 0)
    """Take, step and completed epochs of the newest entry that has them."""
    elapsed_s: float = 0.0
    rate: float | None = None
    """Steps per second over the last few seconds of training."""
    rate_points: tuple[tuple[float, int], ...] = ()
    epochs: tuple[EpochEnded, ...] = ()
    """The last few hundred epochs of the lineage."""
    evaluated: Evaluated = field(default_factory=Evaluated)
    """What these epochs were validated by."""
    best: EpochEnded | None = None
    """The best of all epochs of the lineage."""
    series: tuple[Summary, ...] = ()
    """A summary of each series on the lineage, lr first."""
    interventions: tuple[Intervention, ...] = ()
    checkpoints: tuple[CheckpointSaved, ...] = ()
    log: tuple[Recorded, ...] = ()
    notes: tuple[Note, ...] = ()
    """Remarks of people, tags included, oldest first."""
    why: str = ""
    """Why the run ended before its last epoch, if no command ended it."""
    error: str | None = None
    exit_code: int = 0
    same_weights: bool | None = None
    """Whether a finished replay has the weights of the run that it repeats; else None."""

    @classmethod
    def begin(cls, name: str, directory: Path, spec: RunSpec, created_at: float) -> Snapshot:
        """Return the snapshot of a run with an empty record."""
        lineage = Lineage.of(spec)
        return cls(
            name, directory, spec, created_at, lineage=lineage,
            stage=FIRST_STAGE_WATCHED if spec.watched else FIRST_STAGE,
            position=(1, lineage.step, lineage.epoch),
        )  # fmt: skip

    def completed(self, spec: RunSpec) -> Snapshot:
        """Return the run with the spec that its trainer completed."""
        return replace(self, spec=spec, lineage=replace(self.lineage, of_spec=spec.settings))

    @property
    def title(self) -> str:
        """The name, safe for a terminal."""
        return safe(self.name, limit=64)

    @property
    def task(self) -> str:
        """The task's name, or that of the user's file or folder."""
        return safe(title_of(self.spec.task), limit=64)

    @property
    def is_watched(self) -> bool:
        """Whether it is a watched script, which alone knows its epochs, batch size and seed."""
        return bool(self.spec.watched)

    @property
    def stage_since(self) -> float | None:
        """When the newest stage of a start was reached, in seconds since 1970; None before it."""
        stages = (
            one.at
            for one in reversed(self.log)
            if isinstance(one.event, StartupReached | RunStarted)
        )
        return next(stages, None)

    @property
    def problem(self) -> Problem:
        """The kind, metrics and losses of the run, as it recorded them when it started."""
        return self.started.problem if self.started else Problem(self.spec.kind)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Those in use: loss, lr, weight-decay, clip-norm, batch-size, epochs, schedule, pace."""
        return self.lineage.settings

    @property
    def epoch_boundaries(self) -> EpochBoundaries:
        """Where its epochs begin; for a watched script, as far as they have ended."""
        if not self.is_watched:
            return self.lineage.epoch_boundaries
        ends = [(ended.step, ended.epoch) for ended in self.epochs]
        return EpochBoundaries.seen(ends, self.steps_per_epoch or 0)

    @property
    def steps_per_epoch(self) -> int | None:
        """None while the length of an epoch is unknown, as in a watched script without epochs."""
        if self.is_watched and len(self.epochs) > 1:  # its steps alone tell how long one is
            return self.epochs[-1].step - self.epochs[-2].step or None
        return self.lineage.epoch_boundaries.steps_per_epoch or None

    @property
    def loss(self) -> str:
        return str(self.settings["loss"])

    @property
    def take(self) -> int:
        return self.position[0]

    @property
    def step(self) -> int:
        return self.position[1]

    @property
    def epoch(self) -> int:
        """Completed epochs."""
        return self.position[2]

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments that led to the present weights, oldest first."""
        return self.lineage.segments(self.step, self.epoch)

    @property
    def last_epoch(self) -> EpochEnded | None:
        return self.epochs[-1] if self.epochs else None

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    @property
    def is_deleted(self) -> bool:
        """Whether its directory was deleted while it was shown."""
        return self.error == DELETED

    @property
    def condition(self) -> str:
        """Its state in one word; deleted, if it was deleted while it was shown."""
        return "deleted" if self.is_deleted else self.state
