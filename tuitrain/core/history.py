"""What led to the present: of all that a run recorded, the takes and changes on its current line.

An undo, a rollback or a resumption after a crash goes back to a checkpoint and opens a new take.
What came after that checkpoint in older takes stays on record, but is no part of the line any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tuitrain.core.commands import Epoch
from tuitrain.core.events import (
    CheckpointGone,
    CheckpointSaved,
    Event,
    LossSwapped,
    RunStarted,
    SettingChanged,
    TakeOpened,
)

Change = LossSwapped | SettingChanged | TakeOpened


def is_change(event: Event) -> bool:
    """Return whether an `undo` takes this event back. A pace changes no weights."""
    match event:
        case LossSwapped():
            return True
        case SettingChanged(setting=setting):
            return setting != "pace"
        case TakeOpened(why=why):
            return why != "resume"
        case _:
            return False


class Span(NamedTuple):
    """The steps first..last of a take; `last` is None while it goes on."""

    take: int
    first: int
    last: int | None


def spans(openings: Iterable[TakeOpened], take: int) -> list[Span]:
    """Return the line that leads to the newest step of `take`, oldest first."""
    opened = {each.take: each for each in openings}
    line: list[Span] = []
    last: int | None = None
    while take in opened:
        opening = opened[take]
        line.append(Span(take, opening.step + 1, last))
        take, last = opening.origin_take, opening.step
    line.append(Span(take, 1, last))
    return line[::-1]


def newest_take(events: Iterable[Event]) -> int:
    """Return the number of the take that was opened last."""
    return max((each.take for each in events if isinstance(each, TakeOpened)), default=1)


def current_line(events: Sequence[Event]) -> list[Event]:
    """Return those of a run's events, given in order, that led to the present.

    Of each take these are its events up to the checkpoint from which the next one went on. Events
    that belong to no take are left out.
    """
    line: list[Event] = []
    take: int | None = newest_take(events)
    end = len(events)
    while take is not None:
        begin, opening = _opening(events, take)
        line = [each for each in events[begin:end] if getattr(each, "take", None) == take] + line
        take = opening.origin_take if opening else None
        end = _saved(events, opening.origin) + 1 if opening else 0
    return line


def last_change(events: Sequence[Event]) -> tuple[Change, CheckpointSaved] | None:
    """Return the change that an `undo` takes back, and the checkpoint from just before it.

    A change that a resumption made again is as old as it was the first time.
    """
    found: tuple[Change, CheckpointSaved] | None = None
    seen: set[str | None] = set()
    saved: CheckpointSaved | None = None
    for event in events:
        if isinstance(event, CheckpointSaved):
            saved = event
        elif isinstance(event, Change) and is_change(event) and event.wish not in seen:
            seen.add(event.wish)
            found = (event, saved) if saved else None
    return found


def kept(events: Iterable[Event]) -> list[CheckpointSaved]:
    """Return the checkpoints that were neither deleted nor found damaged, oldest first."""
    saved: dict[str, CheckpointSaved] = {}
    for event in events:
        if isinstance(event, CheckpointSaved):
            saved[event.file] = event
        elif isinstance(event, CheckpointGone):
            saved.pop(event.file, None)
    return list(saved.values())


def at_epoch(
    several: Iterable[CheckpointSaved], line: Sequence[Span], epoch: int
) -> CheckpointSaved | None:
    """Return the checkpoint at the end of that epoch, the line's own before any other's."""
    found = [each for each in several if each.is_between_epochs and each.epoch == epoch]
    on_line = [each for each in found if is_on(line, each)]
    return next(reversed(on_line or found), None)


def best_kept(events: Sequence[Event]) -> CheckpointSaved | None:
    """Return the checkpoint of the best epoch of the lineage that has one; None: none has.

    While a run trains, and after a crash, a later epoch may have been better: one that is the best
    is saved a little later.
    """
    there = {each.file for each in kept(events)}
    lineage = (each for each in current_line(events) if isinstance(each, CheckpointSaved))
    found = [each for each in lineage if each.why == "best" and each.file in there]
    return next(reversed(found), None)


def is_on(line: Sequence[Span], saved: CheckpointSaved) -> bool:
    """Return whether a checkpoint was saved on that line."""
    return any(
        saved.take == span.take and (span.last is None or saved.step <= span.last) for span in line
    )


def epochs_kept(several: Iterable[CheckpointSaved], epoch: Epoch | None) -> str:
    """Return a sentence on the epochs that one can go back to, for who asked for another."""
    there = {each.epoch for each in several if each.is_between_epochs}
    if not there:
        return "no checkpoint is kept"
    missing = "the best epoch" if epoch == "best" else f"epoch {epoch}"
    return f"{missing} is not kept; kept are the epochs {', '.join(map(str, sorted(there)))}"


def settings_at(events: Sequence[Event], saved: CheckpointSaved | None = None) -> dict[str, Any]:
    """Return the settings in use when that checkpoint was saved; without one, those of now."""
    past = events if saved is None else events[: events.index(saved) + 1]
    started = (each.settings for each in past if isinstance(each, RunStarted))
    settings = dict(next(started, {}))
    for event in current_line(past):
        match event:
            case LossSwapped(loss=loss):
                settings["loss"] = loss
            case SettingChanged(setting=setting, value=value):
                settings[setting] = value
            case TakeOpened(settings=opened):
                settings |= opened
            case _:
                pass
    return settings


def _opening(events: Sequence[Event], take: int) -> tuple[int, TakeOpened | None]:
    for at, event in enumerate(events):
        if isinstance(event, TakeOpened) and event.take == take:
            return at, event
    return 0, None


def _saved(events: Sequence[Event], file: str) -> int:
    for at, event in enumerate(events):
        if isinstance(event, CheckpointSaved) and event.file == file:
            return at
    return -1  # none: the take went on from the very beginning
