"""Apply directives to a run; the resulting events answer the commands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, assert_never

from tuitrain.core.commands import Change, SwapLoss
from tuitrain.core.errors import CannotSave, Damaged
from tuitrain.core.events import (
    CheckpointSaved,
    CommandDropped,
    Event,
    Failed,
    LossSwapped,
    Paused,
    Resumed,
    SettingChanged,
    Stopped,
    TakeOpened,
    Warned,
)
from tuitrain.core.schedules import RateSchedule
from tuitrain.steering.directives import (
    Continue,
    Directive,
    End,
    Hold,
    MakeChange,
    Restore,
    Save,
    SaveBest,
)
from tuitrain.steering.steerable import Keeper, Steerable


def apply(directive: Directive, run: Steerable, checkpoints: Keeper) -> Iterator[Event]:
    """Apply the directive between two batches, and yield the resulting events.

    A command whose checkpoint cannot be saved or loaded is dropped with the reason and changes
    nothing. Raises CannotSave if the run cannot save its final checkpoint.
    """
    match directive:
        case Hold(command=command):
            yield from or_warned(checkpoints.save(run, "pause"))
            yield Paused(command, *run.position)
        case Continue(command=command):
            yield Resumed(command, *run.position)
        case MakeChange(command=command):
            yield from _or_dropped(_use(directive, run, checkpoints), command)
        case Restore(command=command):
            yield from _or_dropped(_go_back(directive, run, checkpoints), command)
        case Save(command=command, why=why):
            yield from _or_dropped(checkpoints.save(run, why, command=command), command)
        case SaveBest(command=command):
            yield from _or_dropped(checkpoints.save_best(), command)
        case End(command=command, why=why, is_failure=is_failure):
            yield from checkpoints.save(run, "stop")
            yield Failed(why) if is_failure else Stopped(command, *run.position, why)
        case other:
            assert_never(other)


def or_warned(saving: Iterator[Event]) -> Iterator[Event]:
    """Save; if that fails, warn and continue."""
    try:
        yield from saving
    except CannotSave as error:
        yield Warned(str(error))


def take_opened(
    run: Steerable,
    origin: CheckpointSaved | None,
    why: Literal["undo", "rollback", "resume"],
    *,
    left_at: int,
    command: str | None = None,
    undone: str | None = None,
) -> TakeOpened:
    """Return the event that opens the run's present take; no origin: from the start.

    `left_at` is the last step of the previous take.
    """
    return TakeOpened(
        command, *run.position, why, origin.file if origin else "", origin.take if origin else 1,
        run.settings, run.steps_per_epoch, left_at, undone,
    )  # fmt: skip


def _or_dropped(applying: Iterator[Event], command: str) -> Iterator[Event]:
    try:
        yield from applying
    except (CannotSave, Damaged) as error:
        yield CommandDropped(command, str(error))


def _use(directive: MakeChange, run: Steerable, checkpoints: Keeper) -> Iterator[Event]:
    change, answers = directive.change, (directive.command, *run.position)
    if directive.saves_before:
        yield from checkpoints.save(run, f"before {change.kind}", is_needed=True)
    else:
        yield from checkpoints.leave_best()
    previous = run.settings[change.kind]
    match change:
        case SwapLoss(loss=loss):
            run.change("loss", loss)
            yield LossSwapped(*answers, loss, previous)
        case Change(setting=setting, value=value):
            run.change(setting, value)
            value = run.settings[setting]  # of a schedule, now with its place
            yield SettingChanged(*answers, setting, value, previous, run.steps_per_epoch)
            if setting in ("schedule", "epochs"):
                yield from _doubts(run)


def _doubts(run: Steerable) -> Iterator[Warned]:
    schedule, epochs = run.settings["schedule"], run.settings["epochs"]
    if doubt := RateSchedule.read(schedule).doubt(epochs):
        yield Warned(doubt, *run.position[:2])


def _go_back(directive: Restore, run: Steerable, checkpoints: Keeper) -> Iterator[Event]:
    """Load first, so that a damaged checkpoint changes and saves nothing."""
    why, origin = directive.why, directive.origin
    state = yield from checkpoints.loaded(origin)
    yield from checkpoints.save(run, f"before {why}", is_needed=True)
    staying = run.settings if why == "rollback" else {"pace": run.pace}
    left_at = run.position.step
    run.restore(state)
    run.use(staying)
    run.take = directive.take
    opened = take_opened(
        run, origin, why, left_at=left_at, command=directive.command, undone=directive.undone
    )
    checkpoints.go_back(opened)
    yield opened
