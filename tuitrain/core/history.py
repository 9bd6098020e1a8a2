"""What led to the present: of all that a run recorded, the takes and changes on its current line.

An undo, a rollback or a resumption after a crash goes back to a checkpoint and opens a new take.
What came after that checkpoint in older takes stays on record, but is no part of the line any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tuitrain.core.events import CheckpointSaved, Event, LossSwapped, SettingChanged, TakeOpened

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
    """Return the change that an `undo` takes back, and the checkpoint from just before it."""
    for at in range(len(events) - 1, -1, -1):
        event = events[at]
        if is_change(event):
            assert isinstance(event, Change)
            before = [each for each in events[:at] if isinstance(each, CheckpointSaved)][-1:]
            return (event, before[0]) if before else None
    return None


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
