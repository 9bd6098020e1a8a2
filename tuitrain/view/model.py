"""One run at one moment, folded from what its record says. Nobody else decides what is true."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, assert_never

from tuitrain.core import catalog
from tuitrain.core.events import (
    Answer,
    CheckpointGone,
    CheckpointSaved,
    EpochEnded,
    Event,
    Failed,
    Finished,
    LossSwapped,
    Paused,
    Resumed,
    RunStarted,
    SettingChanged,
    StartupReached,
    Stepped,
    Stopped,
    TakeOpened,
    WishAccepted,
    WishDropped,
    WishRefused,
)
from tuitrain.core.spec import RunSpec
from tuitrain.store.reader import Delta, Recorded
from tuitrain.store.schema import BatchRow

State = Literal[
    "starting", "running", "pausing", "paused", "finished", "stopped", "failed", "crashed"
]
ENDED = ("finished", "stopped", "failed", "crashed")

_EPOCHS_KEPT = 500
_LOG_KEPT = 200
_RATE_OVER_S = 5.0


@dataclass(frozen=True, slots=True)
class Intervention:
    """A wish and what became of it."""

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


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where one loss is in use without a break: from step `first` on."""

    first: int
    loss: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that the panels show."""

    name: str
    directory: Path
    spec: RunSpec
    created_at: float
    state: State = "starting"
    stage: str = "starting the trainer"
    pid: int | None = None
    pace: float | None = None
    stretches: tuple[Stretch, ...] = ()
    started: RunStarted | None = None
    latest: BatchRow | None = None
    position: tuple[int, int, int] = (1, 0, 0)
    """Take, step and completed epochs, by the newest fact that has them."""
    elapsed_s: float = 0.0
    rate: float | None = None
    """Steps a second over the last few seconds of training."""
    rate_points: tuple[tuple[float, int], ...] = ()
    epochs: tuple[EpochEnded, ...] = ()
    best: EpochEnded | None = None
    interventions: tuple[Intervention, ...] = ()
    checkpoints: tuple[CheckpointSaved, ...] = ()
    log: tuple[Recorded, ...] = ()
    error: str | None = None
    exit_code: int = 0

    @classmethod
    def begin(cls, name: str, directory: Path, spec: RunSpec, created_at: float) -> Snapshot:
        """Return the run as it is before its record says anything."""
        stretches = (Stretch(1, spec.loss),)
        return cls(name, directory, spec, created_at, pace=spec.pace, stretches=stretches)

    @property
    def kind(self) -> catalog.Kind:
        return catalog.task_named(self.spec.task).kind

    @property
    def loss(self) -> str:
        return self.stretches[-1].loss

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
    def steps_per_epoch(self) -> int | None:
        return self.started.steps_per_epoch if self.started else None

    @property
    def planned_steps(self) -> int | None:
        return self.started.steps_per_epoch * self.spec.epochs if self.started else None

    @property
    def last_epoch(self) -> EpochEnded | None:
        return self.epochs[-1] if self.epochs else None

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    @property
    def waiting(self) -> tuple[Intervention, ...]:
        """Wishes that are accepted and wait for their boundary."""
        return tuple(each for each in self.interventions if each.state == "pending")


def fold(now: Snapshot, delta: Delta, *, alive: bool, pid: int | None = None) -> Snapshot:
    """Return the snapshot after `delta`; `alive` tells whether somebody trains the run."""
    for recorded in delta.events:
        now = _after(now, recorded)
    for epoch in delta.epochs:
        now = _after_epoch(now, epoch)
    if delta.latest is not None and delta.latest != now.latest:
        now = _after_batch(now, delta.latest)
    if not alive and not now.has_ended:
        now = replace(now, state="crashed", error="the trainer ended without a word")
    return replace(now, pid=None if now.has_ended else pid)


def _after(now: Snapshot, recorded: Recorded) -> Snapshot:
    now = replace(
        now,
        log=(*now.log, recorded)[-_LOG_KEPT:],
        elapsed_s=max(now.elapsed_s, recorded.elapsed_s),
    )
    event: Event = recorded.event
    match event:
        case WishAccepted() | WishRefused() | WishDropped():
            return _after_reply(now, event)
        case (
            Paused()
            | Resumed()
            | Stepped()
            | LossSwapped()
            | SettingChanged()
            | TakeOpened()
            | Stopped()
        ):
            return _after_answer(now, event)
        case EpochEnded():
            return _after_epoch(now, event)
        case (
            StartupReached()
            | RunStarted()
            | CheckpointSaved()
            | CheckpointGone()
            | Finished()
            | Failed()
        ):
            return _after_milestone(now, event)
        case other:
            assert_never(other)


def _after_milestone(
    now: Snapshot,
    event: StartupReached | RunStarted | CheckpointSaved | CheckpointGone | Finished | Failed,
) -> Snapshot:
    match event:
        case StartupReached(stage=stage):
            return replace(now, stage=stage)
        case RunStarted():
            return replace(now, started=event, state="running")
        case CheckpointSaved():
            return replace(now, checkpoints=(*now.checkpoints, event))
        case CheckpointGone(file=file):
            kept = tuple(each for each in now.checkpoints if each.file != file)
            return replace(now, checkpoints=kept)
        case Finished(take=take, step=step, epoch=epoch):
            return replace(now, state="finished", position=(take, step, epoch))
        case Failed(error=error, exit_code=code):
            return replace(now, state="failed", error=error, exit_code=code)
        case other:
            assert_never(other)


def _after_reply(now: Snapshot, event: WishAccepted | WishRefused | WishDropped) -> Snapshot:
    match event:
        case WishAccepted():
            wish = Intervention(
                event.wish, event.asks, event.detail, event.asked_at, "pending", event.at
            )
            return _going_on(replace(now, interventions=(*now.interventions, wish)))
        case WishRefused():
            wish = Intervention(
                event.wish, event.asks, event.detail, event.asked_at, "refused",
                reason=event.reason,
            )  # fmt: skip
            return replace(now, interventions=(*now.interventions, wish))
        case WishDropped():
            dropped = _changed(now, event.wish, state="dropped", reason=event.reason)
            return _going_on(replace(now, interventions=dropped))
        case other:
            assert_never(other)


def _after_answer(now: Snapshot, event: Answer) -> Snapshot:
    where = {"take": event.take, "step": event.step, "epoch": event.epoch}
    now = replace(
        now,
        position=(event.take, event.step, event.epoch),
        interventions=_changed(now, event.wish, state="applied", **where),
    )
    match event:
        case Paused():
            return replace(now, state="paused", rate=None, rate_points=())
        case Resumed():
            return _going_on(replace(now, state="running"))
        case Stepped():
            return now
        case LossSwapped(step=step, loss=loss):
            kept = tuple(each for each in now.stretches if each.first <= step)
            return replace(now, stretches=(*kept, Stretch(step + 1, loss)))
        case SettingChanged(value=pace):
            return replace(now, pace=pace, rate_points=())
        case TakeOpened():
            return now
        case Stopped():
            return replace(now, state="stopped")
        case other:
            assert_never(other)


def _going_on(now: Snapshot) -> Snapshot:
    """Tell `pausing` from `running`: a pause is accepted and its boundary has not come."""
    if now.state not in ("running", "pausing"):
        return now
    pausing = any(each.kind == "pause" for each in now.waiting)
    return replace(now, state="pausing" if pausing else "running")


def _changed(now: Snapshot, wish: str | None, **changes: object) -> tuple[Intervention, ...]:
    if wish is None:
        return now.interventions
    return tuple(
        replace(each, **changes) if each.id == wish else each  # type: ignore[arg-type]
        for each in now.interventions
    )


def _after_epoch(now: Snapshot, event: EpochEnded) -> Snapshot:
    return replace(
        now,
        epochs=(*now.epochs, event)[-_EPOCHS_KEPT:],
        best=event if event.improved else now.best,
        position=max(now.position, (event.take, event.step, event.epoch)),
    )


def _after_batch(now: Snapshot, latest: BatchRow) -> Snapshot:
    elapsed_s = latest.elapsed_ms / 1000
    points = [point for point in now.rate_points if point[1] < latest.step]
    points.append((elapsed_s, latest.step))
    while len(points) > 2 and points[1][0] < elapsed_s - _RATE_OVER_S:
        points.pop(0)
    since, gone_s = points[0][1], elapsed_s - points[0][0]
    running = now.state in ("starting", "running", "pausing")
    return replace(
        now,
        latest=latest,
        position=max(now.position, (latest.take, latest.step, latest.epoch - 1)),
        elapsed_s=max(now.elapsed_s, elapsed_s),
        rate_points=tuple(points),
        rate=(latest.step - since) / gone_s if running and gone_s > 0 else now.rate,
    )
