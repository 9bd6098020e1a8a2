"""Update a snapshot with new entries of the run's record."""

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
    Resumed,
    RunStarted,
    SettingChanged,
    StartupReached,
    Stepped,
    Stopped,
    TakeOpened,
    Warned,
    WeightsCompared,
)
from tuitrain.history.lineage import Lineage
from tuitrain.store.reader import EPOCHS_KEPT, Delta, Recorded
from tuitrain.store.schema import BatchRow
from tuitrain.view.state.snapshot import Intervention, Snapshot

_LOG_KEPT = 200
_RATE_OVER_S = 5.0


def fold(now: Snapshot, delta: Delta, *, alive: bool, pid: int | None = None) -> Snapshot:
    """Return the snapshot after `delta`; `alive` is whether its trainer is alive."""
    take = now.lineage.take
    now = replace(now, lineage=lineage_after(now, delta.events))
    for recorded in delta.events:
        now = _after(now, recorded)
    now = _after_epochs(now, delta, is_other=now.lineage.take != take)
    now = _after_series(now, delta)
    latest = delta.latest
    if latest is not None and latest != now.latest and latest.take >= now.take:
        now = _after_batch(now, latest)
    if not alive and not now.has_ended:
        now = replace(now, state="crashed", error="the trainer process died unexpectedly")
    return replace(now, pid=None if now.has_ended else pid)


def lineage_after(now: Snapshot, events: Iterable[Recorded]) -> Lineage:
    """Return the lineage of the run once these events are taken in."""
    return now.lineage.after(recorded.event for recorded in events)


def _after(now: Snapshot, recorded: Recorded) -> Snapshot:
    now = replace(
        now,
        log=_logged(now.log, recorded),
        elapsed_s=max(now.elapsed_s, recorded.elapsed_s),
    )
    event: Event = recorded.event
    match event:
        case CommandAccepted() | CommandRefused() | CommandDropped():
            return _after_reply(now, event)
        case Paused() | Resumed() | Stepped() | Stopped():
            return _after_answer(now, event)
        case LossSwapped() | SettingChanged() | TakeOpened():
            return _after_answer(now, event)
        case EpochEnded():
            return now  # they come apart from the events
        case _:
            return _after_milestone(now, event)


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
    """Return whether it comes so often that it would push the rest out of the log."""
    match event:
        case StartupReached(done=done):
            return done > 0
        case CheckpointSaved(why=why):
            return why == "epoch"
        case CheckpointGone(why=why):
            return why == "pruned"
        case _:
            return False


def _after_milestone(now: Snapshot, event: Milestone) -> Snapshot:
    match event:
        case StartupReached(stage=stage, done=done, total=total):
            return replace(
                now, stage=stage, loaded=(done, total), state="starting", why="", error=None,
                exit_code=0,
            )  # fmt: skip
        case NotFinite() | Warned():
            return now
        case RunStarted(settings=settings, steps_per_epoch=steps):
            return replace(
                now, started=event, state="running", steps_per_epoch=steps, error=None,
                settings={**now.settings, **settings},
            )  # fmt: skip
        case CheckpointSaved() | CheckpointGone():
            return _after_checkpoint(now, event)
        case WeightsCompared(is_same=is_same):
            return replace(now, same_weights=is_same)
        case Finished(take=take, step=step, epoch=epoch, why=why):
            return replace(now, state="finished", position=(take, step, epoch), why=why)
        case Failed(error=error, exit_code=code):
            return replace(now, state="failed", error=error, exit_code=code)
        case other:
            assert_never(other)


def _after_checkpoint(now: Snapshot, event: CheckpointSaved | CheckpointGone) -> Snapshot:
    if isinstance(event, CheckpointGone):
        kept = tuple(checkpoint for checkpoint in now.checkpoints if checkpoint.file != event.file)
        return replace(now, checkpoints=kept)
    where = {"take": event.take, "step": event.step, "epoch": event.epoch}
    answered = _changed(now, event.command, state="applied", **where)
    return replace(now, checkpoints=(*now.checkpoints, event), interventions=answered)


def _after_reply(
    now: Snapshot, event: CommandAccepted | CommandRefused | CommandDropped
) -> Snapshot:
    match event:
        case CommandAccepted():
            command = Intervention(
                event.command, event.asks, event.detail, event.asked_at, "pending", event.at
            )
            return _with_pending_pause(replace(now, interventions=(*now.interventions, command)))
        case CommandRefused():
            command = Intervention(
                event.command, event.asks, event.detail, event.asked_at, "refused",
                reason=event.reason,
            )  # fmt: skip
            return replace(now, interventions=(*now.interventions, command))
        case CommandDropped():
            dropped = _changed(now, event.command, state="dropped", reason=event.reason)
            return _with_pending_pause(replace(now, interventions=dropped))
        case other:
            assert_never(other)


def _after_answer(now: Snapshot, event: Answer) -> Snapshot:
    where = {"take": event.take, "step": event.step, "epoch": event.epoch}
    now = replace(
        now,
        position=(event.take, event.step, event.epoch),
        interventions=_changed(now, event.command, state="applied", **where),
    )
    match event:
        case Paused():
            return replace(now, state="paused", rate=None, rate_points=())
        case Resumed():
            return _with_pending_pause(replace(now, state="running"))
        case Stepped():
            return now
        case LossSwapped(loss=loss):
            return replace(now, settings={**now.settings, "loss": loss})
        case SettingChanged(setting=setting, value=value, steps_per_epoch=steps):
            settings = {**now.settings, setting: value}
            return replace(now, settings=settings, steps_per_epoch=steps, rate_points=())
        case TakeOpened():
            return _after_opening(now, event)
        case Stopped(why=why):
            return replace(now, state="stopped", why=why)
        case other:
            assert_never(other)


def _after_opening(now: Snapshot, event: TakeOpened) -> Snapshot:
    again = next(
        (
            opened.undone
            for opened in now.lineage.openings.values()
            if opened.command == event.undone
        ),
        None,
    )
    now = replace(
        now,
        settings={**now.settings, **event.settings},
        steps_per_epoch=event.steps_per_epoch,
        rate_points=(),
        latest=None,  # its loss belongs to the abandoned segment
    )
    if event.undone is None:
        return now
    now = replace(now, interventions=_changed(now, event.undone, state="undone"))
    return replace(now, interventions=_changed(now, again, state="applied"))  # an undo undone


def _with_pending_pause(now: Snapshot) -> Snapshot:
    """Set `pausing` while an accepted pause waits for its boundary, else `running`."""
    if now.state not in ("running", "pausing"):
        return now
    pausing = any(
        command.kind == "pause" and command.state == "pending" for command in now.interventions
    )
    return replace(now, state="pausing" if pausing else "running")


def _changed(now: Snapshot, command: str | None, **changes: object) -> tuple[Intervention, ...]:
    if command is None:
        return now.interventions
    return tuple(
        replace(intervention, **changes) if intervention.id == command else intervention  # type: ignore[arg-type]
        for intervention in now.interventions
    )


def _after_epochs(now: Snapshot, delta: Delta, *, is_other: bool) -> Snapshot:
    """Add the new epochs that belong to the lineage; a new take replaces the lineage."""
    if not (delta.epochs or is_other or delta.is_anew):
        return now
    before = () if delta.is_anew else now.epochs
    if is_other:
        before = tuple(filter(now.lineage.has_epoch, before))
    new = tuple(filter(now.lineage.has_epoch, delta.epochs))
    bests = [epoch for epoch in (now.best, delta.best, *before, *new) if epoch and epoch.improved]
    epochs = (*before, *new)[-EPOCHS_KEPT:]
    position = now.position
    if new:
        position = max(position, (new[-1].take, new[-1].step, new[-1].epoch))
    return replace(
        now,
        epochs=epochs,
        best=next(filter(now.lineage.has_epoch, reversed(bests)), None),
        position=position,
    )


def _after_series(now: Snapshot, delta: Delta) -> Snapshot:
    """Add new values of series; replace them all where the lineage has changed."""
    if not (delta.series or delta.is_anew):
        return now
    known = {} if delta.is_anew else {summary.series.name: summary for summary in now.series}
    newer = {
        summary.series.name: summary.after(known.get(summary.series.name))
        for summary in delta.series
    }
    return replace(now, series=tuple({**known, **newer}.values()))


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
