"""Going on with a run: from its newest sound checkpoint, with what was asked of it after that."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from tuitrain.core.commands import SaveCheckpoint
from tuitrain.core.errors import Damaged
from tuitrain.core.events import (
    CheckpointSaved,
    CommandAccepted,
    CommandDropped,
    Event,
    RunStarted,
    TakeOpened,
    Warned,
)
from tuitrain.engine.state.start import Start, begin, differences
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
    beginning: Start,
    past: Sequence[Event],
    recorded: Position,
) -> Iterator[Event]:
    """Bring `run`, freshly built, to its newest sound checkpoint, and say what that means.

    Where the record goes further than the checkpoint, its steps are trained again in a new take:
    changes come at the steps at which they came, so that the same weights come out. Changes that
    the spec plans and that never came wait for their place.
    """
    before = [each.environment for each in past if isinstance(each, RunStarted)]
    yield from differences(before[-1] if before else {}, run)
    line = Lineage().after(past).kept_events
    origin = yield from _restored(run, steering, line, between_epochs=beginning.between_epochs)
    if origin is None:
        yield from begin(run, steering, beginning)
    opening, after = _after(line, origin.file if origin else "")
    if opening is not None:
        run.use(opening.settings)
    changes = [each for each in (*after, *_not_done_again(past)) if applied(each)]
    changes.sort(key=lambda each: _first(past, each))
    again = [entry for event in changes for entry in applied(event)]
    waiting, dropped = _open_commands(past)
    steering.decisions.schedule = Schedule(
        [*again, *waiting, *planned(beginning.spec.schedule, past)]
    )
    if run.monitor.is_out_of_patience:
        run.monitor.waited = 0  # whoever goes on past that end wants more epochs
    if run.has_come_far_enough:
        run.until = None  # and past this one more steps
    if again or run.position != recorded:
        run.take = steering.decisions.changes.next_take
        opened = take_opened(run, origin, "resume", left_at=recorded.step)
        steering.checkpoints.go_back(opened)
        steering.decisions.learn(opened)
        yield opened
    for command in dropped:
        yield CommandDropped(command, "the run was interrupted")


def _restored(
    run: Training, steering: Steering, line: Sequence[Event], *, between_epochs: bool
) -> Generator[Event, None, CheckpointSaved | None]:
    """Load the newest checkpoint of the line that is sound; None: there is none at all."""
    kept = {each.file for each in steering.checkpoints.kept}
    for saved in reversed(line):
        if isinstance(saved, CheckpointSaved) and saved.file in kept:
            if between_epochs and not saved.is_between_epochs:
                continue
            try:
                state = yield from steering.checkpoints.loaded(saved)
            except Damaged as error:
                yield Warned(f"{error}; the one before it is taken")
                continue
            run.restore(state)
            run.take = saved.take
            return saved
    return None


def _after(line: Sequence[Event], origin: str) -> tuple[TakeOpened | None, Sequence[Event]]:
    """Return what came on a line after that checkpoint; all of it where there is none.

    A take that went on from just there comes apart: its settings belong to the beginning.
    """
    files = [each.file if isinstance(each, CheckpointSaved) else None for each in line]
    after = line[files.index(origin) + 1 :] if origin in files else line
    if after and isinstance(after[0], TakeOpened):
        return after[0], after[1:]
    return None, after


def _not_done_again(past: Sequence[Event]) -> list[Event]:
    """Return the changes that an interrupted resumption had not come to yet."""
    lineage = Lineage().after(past)
    opening = lineage.openings.get(lineage.take)
    if opening is None or opening.why != "resume":
        return []
    before, since = past[: past.index(opening)], past[past.index(opening) + 1 :]
    _, after = _after(Lineage().after(before).kept_events, opening.origin)
    left = [each for each in (*after, *_not_done_again(before)) if applied(each)]
    left.sort(key=lambda each: _first(past, each))
    # they are made again in this order, but for those that would change nothing by then; and a
    # new one comes only after all of them
    done = {_id(each) for each in since if applied(each)}
    if not done <= {_id(each) for each in left}:
        return []
    last = max((at for at, each in enumerate(left) if _id(each) in done), default=-1)
    return left[last + 1 :]


def _first(past: Sequence[Event], event: Event) -> int:
    """Return when a change was made the first time, in order of all events."""
    return next(at for at, each in enumerate(past) if applied(each) and _id(each) == _id(event))


def _id(change: Event) -> str:
    return applied(change)[0].request.id


def _open_commands(past: Sequence[Event]) -> tuple[list[Entry], list[str]]:
    """Return the commands that wait still, and the ids of those that lost their point."""
    answered = {
        getattr(each, "command", None) for each in past if not isinstance(each, CommandAccepted)
    }
    waiting: list[Entry] = []
    dropped: list[str] = []
    for at, event in enumerate(past):
        if not isinstance(event, CommandAccepted) or event.command in answered:
            continue
        entry = accepted(event)
        if not (
            is_change(entry.request.command) or isinstance(entry.request.command, SaveCheckpoint)
        ):
            dropped.append(event.command)
            continue
        for later in past[at:]:
            if isinstance(later, TakeOpened) and later.why != "resume":  # it went back, waiting
                entry = entry._replace(step=later.step, epoch=later.epoch)
        waiting.append(entry)
    return waiting, dropped
