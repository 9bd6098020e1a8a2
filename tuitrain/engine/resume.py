"""Going on with a run: from its newest sound checkpoint, with what was asked of it after that."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

from tuitrain.core.events import (
    CheckpointSaved,
    Event,
    RunStarted,
    TakeOpened,
    Warned,
    WishAccepted,
    WishDropped,
)
from tuitrain.core.history import current_line, newest_take
from tuitrain.engine import device as devices
from tuitrain.engine.checkpoint import Damaged
from tuitrain.engine.schedule import Entry, Schedule, accepted, granted
from tuitrain.engine.steering import Steering, is_kept
from tuitrain.engine.training import Training


class Position(NamedTuple):
    """How far a record goes."""

    take: int = 1
    step: int = 0
    epoch: int = 0


def resume(
    run: Training,
    steering: Steering,
    past: Sequence[Event],
    recorded: Position,
    *,
    begins_epoch: bool = False,
) -> Iterator[Event]:
    """Bring `run`, freshly built, to its newest sound checkpoint, and say what that means.

    With `begins_epoch`, to the newest that was saved between two epochs.

    Where the record goes further than the checkpoint, its steps are trained again in a new take:
    changes come at the steps at which they came, so that the same weights come out.
    """
    yield from _warnings(run, past)
    line = current_line(past)
    origin = yield from _restored(run, steering, line, begins_epoch=begins_epoch)
    after = line[line.index(origin) + 1 :] if origin else line
    again = [entry for event in (*after, *_not_done_again(past)) for entry in granted(event)]
    waiting, dropped = _open_wishes(past)
    steering.schedule = Schedule([*again, *waiting])
    if run.patience.is_out:
        run.patience.begin_anew()  # whoever goes on past that end wants more epochs
    if again or Position(run.take, run.step, run.epoch) != recorded:
        yield steering.changes.open_take(origin, "resume", left_at=recorded.step)
    for wish in dropped:
        yield WishDropped(wish, "the run was interrupted")


def _restored(
    run: Training, steering: Steering, line: Sequence[Event], *, begins_epoch: bool
) -> Generator[Event, None, CheckpointSaved | None]:
    """Load the newest checkpoint of the line that is sound; None: there is none at all."""
    kept = {each.file for each in steering.checkpoints.kept}
    for saved in reversed(line):
        if isinstance(saved, CheckpointSaved) and saved.file in kept:
            if begins_epoch and not saved.is_between_epochs:
                continue
            try:
                state = yield from steering.changes.loaded(saved)
            except Damaged as error:
                yield Warned(f"{error}; the one before it is taken")
                continue
            run.restore(state)
            run.take = saved.take
            return saved
    return None


def _not_done_again(past: Sequence[Event]) -> list[Event]:
    """Return the changes that an interrupted resumption had not come to yet."""
    take, left = newest_take(past), list[Event]()
    while True:
        opening = next(
            (each for each in past if isinstance(each, TakeOpened) and each.take == take), None
        )
        if opening is None or opening.why != "resume":
            return left
        done = {each.wish for each in past if _is_change_in(each, take)}  # type: ignore[union-attr]
        files = [each.file if isinstance(each, CheckpointSaved) else None for each in past]
        begin = files.index(opening.origin) + 1 if opening.origin in files else 0
        take = opening.origin_take
        left = [
            each
            for each in past[begin : past.index(opening)]
            if _is_change_in(each, take) and each.wish not in done  # type: ignore[union-attr]
        ] + left


def _is_change_in(event: Event, take: int) -> bool:
    return bool(granted(event)) and event.take == take  # type: ignore[union-attr]


def _open_wishes(past: Sequence[Event]) -> tuple[list[Entry], list[str]]:
    """Return the wishes that wait still, and the ids of those that lost their point."""
    answered = {getattr(each, "wish", None) for each in past if not isinstance(each, WishAccepted)}
    waiting: list[Entry] = []
    dropped: list[str] = []
    for at, event in enumerate(past):
        if not isinstance(event, WishAccepted) or event.wish in answered:
            continue
        entry = accepted(event)
        if not is_kept(entry.request):
            dropped.append(event.wish)
            continue
        for later in past[at:]:
            if isinstance(later, TakeOpened) and later.why != "resume":  # it went back, waiting
                entry = entry._replace(step=later.step, epoch=later.epoch)
        waiting.append(entry)
    return waiting, dropped


def _warnings(run: Training, past: Sequence[Event]) -> Iterator[Event]:
    before = [each.environment for each in past if isinstance(each, RunStarted)][-1:]
    now = devices.environment(run.device)
    for was in before:
        differing = [
            f"{name} was {was[name]} and is {now.get(name)}"
            for name in was
            if was[name] != now.get(name)
        ]
        if differing:
            yield Warned(f"not the same to the last bit any more: {', '.join(differing)}")
