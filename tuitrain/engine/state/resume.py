"""Resume a run: restore its newest undamaged checkpoint, and reapply the later commands."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from tuitrain.core.commands import SaveCheckpoint
from tuitrain.core.errors import Damaged, Refused
from tuitrain.core.events import (
    CheckpointSaved,
    CommandAccepted,
    CommandDropped,
    Event,
    RunStarted,
    TakeOpened,
    Warned,
)
from tuitrain.engine.monitor import VALIDATION_LOSS, monitored
from tuitrain.engine.state.start import Start, begin, environment_changes
from tuitrain.engine.steering import Steering
from tuitrain.engine.training import Training
from tuitrain.history.lineage import Lineage
from tuitrain.steering.apply import take_opened
from tuitrain.steering.changes import is_change
from tuitrain.steering.schedule import Entry, Schedule, accepted, applied, planned
from tuitrain.steering.steerable import Position


def resume(
    run: Training,
    steering: Steering,
    start: Start,
    earlier: Sequence[Event],
    recorded: Position,
) -> Iterator[Event]:
    """Restore the newest undamaged checkpoint in `run`, freshly built, and yield the events.

    If the record goes further than the checkpoint, those steps are trained again in a new take.
    Changes are reapplied at their steps, so that the weights come out the same. Planned changes
    that were never applied wait for their place.
    """
    conditions = [event.conditions for event in earlier if isinstance(event, RunStarted)]
    before = conditions[-1] if conditions else {}
    yield from environment_changes(before, run)
    _keep_monitor(run, earlier)
    lineage = Lineage().after(earlier).kept_events
    # other ranks divide an epoch into other batches
    between = start.between_epochs or before.get("ranks", "1") != str(run.part.count)
    origin = yield from _restored(run, steering, lineage, between_epochs=between)
    if origin is None:
        yield from begin(run, steering, start)
    yield from _trained_again(run.step, recorded.step) if between else ()
    opening, after = _after(lineage, origin.file if origin else "")
    if opening is not None:
        run.use(opening.settings)
    changes = [event for event in (*after, *_not_reapplied(earlier)) if applied(event)]
    changes.sort(key=lambda event: _first(earlier, event))
    again = [entry for event in changes for entry in applied(event)]
    waiting, dropped = _open_commands(earlier)
    steering.decisions.schedule = Schedule(
        [*again, *waiting, *planned(start.spec.schedule, earlier)]
    )
    if run.monitor.is_out_of_patience:
        run.monitor.waited = 0  # a user who resumes past that end wants more epochs
    if run.has_reached_until:
        run.until = None  # and here, more steps
    if again or run.position != recorded:
        run.take = steering.decisions.changes.next_take
        opened = take_opened(run, origin, "resume", left_at=recorded.step)
        steering.checkpoints.go_back(opened)
        steering.decisions.learn(opened)
        yield opened
    for command in dropped:
        yield CommandDropped(command, "the run was interrupted")


def _trained_again(step: int, recorded: int) -> Iterator[Event]:
    if step < recorded:
        count = recorded - step
        steps = "1 step after that is" if count == 1 else f"{count:,} steps after that are"
        yield Warned(
            f"goes on from step {step:,}, since other batches begin with an epoch: "
            f"{steps} trained again"
        )


def _keep_monitor(run: Training, earlier: Sequence[Event]) -> None:
    """Monitor what the record says: for want of a metric, older versions had the loss."""
    problems = [event.problem for event in earlier if isinstance(event, RunStarted)]
    recorded = problems[-1].monitor if problems and problems[-1] else ""
    if recorded not in ("", run.monitor.quantity.name):
        run.monitor.quantity = monitored(VALIDATION_LOSS, run.problem, run.spec.loss)


def _restored(
    run: Training, steering: Steering, lineage: Sequence[Event], *, between_epochs: bool
) -> Generator[Event, None, CheckpointSaved | None]:
    """Restore the newest undamaged checkpoint of the lineage and return it; None if none is left.

    With `between_epochs`, only checkpoints at the end of an epoch count.
    """
    kept = {saved.file for saved in steering.checkpoints.kept}
    for saved in reversed(lineage):
        if isinstance(saved, CheckpointSaved) and saved.file in kept:
            if between_epochs and not saved.is_between_epochs:
                continue
            try:
                state = yield from steering.checkpoints.loaded(saved)
            except Damaged as error:
                yield Warned(f"{error}; using the one before it")
                continue
            _restore(run, state)
            run.take = saved.take
            return saved
    return None


def _restore(run: Training, state: Mapping[str, Any]) -> None:
    """Restore a state in `run`; Refused if it is of another model."""
    try:
        run.restore(state)
    except RuntimeError as error:
        if not str(error).startswith("Error(s) in loading state_dict"):
            raise
        raise Refused(
            "its data or its model are not those that it began with: the weights of its checkpoint "
            "do not fit any more; tuitrain run begins a new run"
        ) from error


def _after(lineage: Sequence[Event], origin: str) -> tuple[TakeOpened | None, Sequence[Event]]:
    """Return the events of a lineage after the checkpoint `origin`; all without that checkpoint.

    A take that was opened right there is returned separately, since its settings apply at once.
    """
    files = [event.file if isinstance(event, CheckpointSaved) else None for event in lineage]
    after = lineage[files.index(origin) + 1 :] if origin in files else lineage
    if after and isinstance(after[0], TakeOpened):
        return after[0], after[1:]
    return None, after


def _not_reapplied(earlier: Sequence[Event]) -> list[Event]:
    """Return the changes that an interrupted resume had still to reapply."""
    lineage = Lineage().after(earlier)
    opening = lineage.openings.get(lineage.take)
    if opening is None or opening.why != "resume":
        return []
    before, since = earlier[: earlier.index(opening)], earlier[earlier.index(opening) + 1 :]
    _, after = _after(Lineage().after(before).kept_events, opening.origin)
    changes = [event for event in (*after, *_not_reapplied(before)) if applied(event)]
    changes.sort(key=lambda event: _first(earlier, event))
    # the resume reapplied them in this order, skipped those whose value was already in effect, and
    # made a new change only after all of them
    reapplied = {_id(event) for event in since if applied(event)}
    if not reapplied <= {_id(event) for event in changes}:
        return []
    last = max((at for at, event in enumerate(changes) if _id(event) in reapplied), default=-1)
    return changes[last + 1 :]


def _first(earlier: Sequence[Event], change: Event) -> int:
    """Return the index in `earlier` of the event with which a change was first applied."""
    same = (at for at, event in enumerate(earlier) if applied(event) and _id(event) == _id(change))
    return next(same)


def _id(change: Event) -> str:
    return applied(change)[0].request.id


def _open_commands(earlier: Sequence[Event]) -> tuple[list[Entry], list[str]]:
    """Return the accepted commands that still wait, and the ids of those that a resume drops."""
    answered = {
        getattr(event, "command", None)
        for event in earlier
        if not isinstance(event, CommandAccepted)
    }
    waiting: list[Entry] = []
    dropped: list[str] = []
    for at, event in enumerate(earlier):
        if not isinstance(event, CommandAccepted) or event.command in answered:
            continue
        entry = accepted(event)
        if not (
            is_change(entry.request.command) or isinstance(entry.request.command, SaveCheckpoint)
        ):
            dropped.append(event.command)
            continue
        for later in earlier[at:]:
            if isinstance(later, TakeOpened) and later.why != "resume":  # the run went back
                entry = entry._replace(step=later.step, epoch=later.epoch)
        waiting.append(entry)
    return waiting, dropped
