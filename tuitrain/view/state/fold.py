"""Update a snapshot with new entries of the record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from tuitrain.core.events import (
    Answer,
    CheckpointGone,
    CheckpointSaved,
    CommandAccepted,
    CommandDropped,
    CommandRefused,
    EpochEnded,
    Event,
    Failed,
    Finished,
    LossSwapped,
    Milestone,
    NotFinite,
    Paused,
    RateReduced,
    RateSwept,
    Resumed,
    RunStarted,
    SettingChanged,
    StartupReached,
    StepsTaken,
    Stopped,
    TakeOpened,
    Warned,
    WeightsCompared,
)
from tuitrain.core.safe import safe
from tuitrain.history.checkpoints import kept
from tuitrain.history.lineage import Lineage
from tuitrain.store.delta import Delta, Recorded
from tuitrain.store.epochs import EPOCHS_KEPT
from tuitrain.store.schema import BatchRow
from tuitrain.view.state.evaluated import Evaluated
from tuitrain.view.state.interventions import interventions_after
from tuitrain.view.state.snapshot import DIED, LAST_STAGE, Snapshot

_LOG_KEPT = 200
_RATE_OVER_S = 5.0


def fold(run: Snapshot, delta: Delta, *, alive: bool, pid: int | None = None) -> Snapshot:
    """Return the snapshot after `delta`; `alive` is whether the trainer of the run is alive."""
    take = run.lineage.take
    run = replace(run, lineage=lineage_after(run, delta.events))
    for recorded in delta.events:
        run = _after(run, recorded)
    if delta.events:
        run = _with_pending_pause(_after_commands(run, delta.events))
    run = _after_epochs(run, delta, is_other=run.lineage.take != take)
    run = _after_series(run, delta)
    latest = delta.latest
    if latest is not None and latest != run.latest and latest.take >= run.take:
        run = _after_batch(run, latest)
    if not alive and not run.has_ended:
        run = replace(run, state="crashed", error=_crashed(run))
    return replace(run, pid=None if run.has_ended else pid)


def _crashed(run: Snapshot) -> str:
    """Return what the record says of a crash: how far the start had come, and no cause."""
    return f"{DIED} while {safe(run.stage, limit=80)}" if run.state == "starting" else DIED


def lineage_after(run: Snapshot, events: Iterable[Recorded]) -> Lineage:
    """Return the lineage after these events."""
    return run.lineage.after(recorded.event for recorded in events)


def _after(run: Snapshot, recorded: Recorded) -> Snapshot:
    run = replace(
        run,
        log=_logged(run.log, recorded),
        elapsed_s=max(run.elapsed_s, recorded.elapsed_s),
    )
    event: Event = recorded.event
    match event:
        case CommandAccepted() | CommandRefused() | CommandDropped():
            return run  # see `interventions_after`
        case Paused() | Resumed() | StepsTaken() | Stopped():
            return _after_answer(run, event)
        case LossSwapped() | SettingChanged() | RateSwept() | TakeOpened():
            return _after_answer(run, event)
        case EpochEnded():
            return run  # `_after_epochs` reads them from the delta
        case _:
            return _after_milestone(run, event)


def _logged(log: tuple[Recorded, ...], recorded: Recorded) -> tuple[Recorded, ...]:
    """Return the log with an event; a new best takes the place of one that nothing came after."""
    if _is_routine(recorded.event):
        return log
    if _is_best(recorded.event) and log and _is_best(log[-1].event):
        log = log[:-1]
    return (*log, recorded)[-_LOG_KEPT:]


def _is_best(event: Event) -> bool:
    return isinstance(event, CheckpointSaved) and event.why == "best"


def _is_routine(event: Event) -> bool:
    """Return whether the event is too frequent for the log."""
    match event:
        case StartupReached(done=done):
            return done > 0
        case CheckpointSaved(why=why):
            return why == "epoch"
        case CheckpointGone(why=why):
            return why == "pruned"
        case _:
            return False


def _after_milestone(run: Snapshot, event: Milestone) -> Snapshot:
    match event:
        case StartupReached(stage=stage, done=done, total=total):
            return replace(
                run, stage=stage, loaded=(done, total), state="starting", why="", error=None,
                exit_code=0,
            )  # fmt: skip
        case NotFinite() | Warned() | RateReduced() | CheckpointSaved() | CheckpointGone():
            return run
        case RunStarted():
            return replace(
                run, started=event, state="running", error=None, stage=LAST_STAGE, loaded=(0, 0)
            )
        case WeightsCompared(is_same=is_same):
            return replace(run, same_weights=is_same)
        case Finished(take=take, step=step, epoch=epoch, why=why):
            return replace(run, state="finished", position=(take, step, epoch), why=why, rate=None)
        case Failed(error=error, exit_code=code, finished=finished):
            run = replace(run, error=error, exit_code=code)
            return replace(run, state="failed" if finished is None else "finished")
        case other:
            assert_never(other)


def _after_answer(run: Snapshot, event: Answer) -> Snapshot:
    run = replace(run, position=(event.take, event.step, event.epoch))
    match event:
        case Paused():
            return replace(run, state="paused", rate=None, rate_points=())
        case Resumed():
            return replace(run, state="running")
        case StepsTaken() | RateSwept() | LossSwapped():
            return run
        case SettingChanged():
            return replace(run, rate_points=())
        case TakeOpened():  # the latest loss belongs to the abandoned segment
            return replace(run, rate_points=(), latest=None)
        case Stopped(why=why):
            return replace(run, state="stopped", why=why, rate=None)
        case other:
            assert_never(other)


def _after_commands(run: Snapshot, new: Iterable[Recorded]) -> Snapshot:
    events = [recorded.event for recorded in new]
    return replace(
        run,
        interventions=interventions_after(run.interventions, events, run.lineage),
        checkpoints=tuple(kept([*run.checkpoints, *events])),
    )


def _with_pending_pause(run: Snapshot) -> Snapshot:
    """Set the state of a running snapshot: `pausing` while a pause is pending, else `running`."""
    if run.state not in ("running", "pausing"):
        return run
    pausing = any(
        command.kind == "pause" and command.state == "pending" for command in run.interventions
    )
    return replace(run, state="pausing" if pausing else "running")


def _after_epochs(run: Snapshot, delta: Delta, *, is_other: bool) -> Snapshot:
    """Add the new epochs of the lineage, and drop the epochs that a new take abandoned.

    If `delta.is_anew`, its epochs replace all earlier ones.
    """
    if not (delta.epochs or is_other or delta.is_anew):
        return run
    earlier = () if delta.is_anew else run.epochs
    if is_other:
        earlier = tuple(filter(run.lineage.has_epoch, earlier))
    new = tuple(filter(run.lineage.has_epoch, delta.epochs))
    epochs = (*earlier, *new)[-EPOCHS_KEPT:]
    position = run.position
    if new:
        position = max(position, (new[-1].take, new[-1].step, new[-1].epoch))
    return replace(
        run,
        epochs=epochs,
        evaluated=Evaluated.of(epochs),
        best=run.lineage.best_of((run.best, delta.best, *earlier, *new)),
        position=position,
    )


def _after_series(run: Snapshot, delta: Delta) -> Snapshot:
    """Update the summaries of series; if `delta.is_anew`, replace all of them."""
    if not (delta.series or delta.is_anew):
        return run
    earlier = {} if delta.is_anew else {summary.series.name: summary for summary in run.series}
    newer = {
        summary.series.name: summary.after(earlier.get(summary.series.name))
        for summary in delta.series
    }
    return replace(run, series=tuple({**earlier, **newer}.values()))


def _after_batch(run: Snapshot, latest: BatchRow) -> Snapshot:
    elapsed_s = latest.elapsed_ms / 1000
    points = [point for point in run.rate_points if point[1] < latest.step]
    points.append((elapsed_s, latest.step))
    while len(points) > 2 and points[1][0] < elapsed_s - _RATE_OVER_S:
        points.pop(0)
    first_step, over_s = points[0][1], elapsed_s - points[0][0]
    running = run.state in ("starting", "running", "pausing")
    return replace(
        run,
        latest=latest,
        position=max(run.position, (latest.take, latest.step, latest.epoch - 1)),
        elapsed_s=max(run.elapsed_s, elapsed_s),
        rate_points=tuple(points),
        rate=(latest.step - first_step) / over_s if running and over_s > 0 else run.rate,
    )
