"""The log of a run: the events in words, the newest at the bottom."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple, assert_never

from tuitrain.core.events import (
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
from tuitrain.core.notes import Note
from tuitrain.core.safe import safe
from tuitrain.view.panel.advice import in_words
from tuitrain.view.picture import Line, Picture, Role, Span, filled, fitted
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import words
from tuitrain.view.text.cells import wrapped

_LEAST_TEXT = 10
"""Cells of a line of an event; it is cut where there are fewer."""
_MANY = 8
"""Lines from which events are shown in full."""


class _Entry(NamedTuple):
    at: float
    text: str
    role: Role


def events(run: Snapshot, width: int, height: int) -> Picture:
    """Return the newest events and notes, a line each where there are only a few."""
    if height >= _MANY:
        return event_log(run, width, height)
    shown = list(_entries(run))[-height:] if height > 0 else []
    rows = [_line(words.clock(at), safe(text), role, width) for at, text, role in shown]
    return filled(rows, width, height)


def event_log(run: Snapshot, width: int, height: int, wanted: str = "") -> Picture:
    """Return the newest events and notes that fit, in full, the newest at the bottom.

    Only those with `wanted` in their text, below a line that says how many these are.
    """
    entries, heading = list(_entries(run)), list[Line]()
    if wanted:
        found = [entry for entry in entries if wanted.casefold() in entry.text.casefold()]
        heading = [found_line(len(found), len(entries), "events", wanted, width)]
        entries = found
    rows: list[Line] = []
    for entry in reversed(entries):
        if len(rows) >= height - len(heading):
            break
        rows[:0] = _lines(entry, width)
    return filled([*heading, *rows[max(0, len(rows) + len(heading) - height) :]], width, height)


def _lines(entry: _Entry, width: int) -> list[Line]:
    """Return an event in as many lines as it needs."""
    at, text, role = entry
    clock = words.clock(at)
    lines = wrapped(safe(text), max(_LEAST_TEXT, width - len(clock) - 2)) or [""]
    return [_line("" if number else clock, line, role, width) for number, line in enumerate(lines)]


def _line(clock: str, text: str, role: Role, width: int) -> Line:
    return fitted([Span(f" {clock:<8} ", "muted"), Span(text, role)], width)


def found_line(found: int, among: int, what: str, wanted: str, width: int) -> Line:
    """Return the line that says how many lines of a panel have what is searched for."""
    many = words.count(found) if found else "none"
    text = f" {many} of the last {words.count(among)} {what} have "
    return fitted([Span(text, "muted" if found else "warn"), Span(safe(wanted), "accent")], width)


def _entries(run: Snapshot) -> Iterator[_Entry]:
    """Yield events and notes by their times."""
    happened = [
        _Entry(recorded.at, *line) for recorded in run.log for line in _lines_of(recorded.event)
    ]
    written = [_Entry(note.at, _written(note), "accent") for note in run.notes]
    return heapq.merge(happened, written, key=lambda entry: entry.at)


def _written(note: Note) -> str:
    match note.kind:
        case "note":
            return f"note at step {words.count(note.step)}: {note.text}"
        case "tag":
            return f"tag {note.text} at step {words.count(note.step)}"
        case "untag":
            return f"tag {note.text} taken off"
        case other:
            assert_never(other)


def _lines_of(event: Event) -> Iterator[tuple[str, Role]]:
    """Yield an event's lines: of a start also where the data come from, and the notes on them."""
    if isinstance(event, RunStarted):
        if event.card.origin:
            yield f"data from {event.card.origin}", "muted"
        for note in event.card.notes:
            yield note, "muted"
    if (line := describe(event)) is not None:
        yield line


def describe(event: Event) -> tuple[str, Role] | None:
    """Return the line of an event in the log, or None if it has none."""
    match event:
        case CommandAccepted() | CommandRefused() | CommandDropped():
            return _describe_reply(event)
        case Paused() | Resumed() | StepsTaken() | Stopped():
            return _describe_answer(event)
        case LossSwapped() | SettingChanged() | TakeOpened():
            return _describe_answer(event)
        case RateSwept():
            return _describe_sweep(event)
        case EpochEnded():
            return None
        case NotFinite() | Warned() | CheckpointGone() | Failed():
            return _describe_trouble(event)
        case _:
            return _describe_milestone(event)


def _describe_milestone(
    event: StartupReached | RunStarted | CheckpointSaved | RateReduced | WeightsCompared | Finished,
) -> tuple[str, Role] | None:
    match event:
        case StartupReached(stage=stage, done=done):
            return None if done else (f"{stage} …", "muted")
        case RunStarted(parameters=parameters, device=device):
            return f"{words.count(parameters)} parameters on {device}", "muted"
        case CheckpointSaved():
            return _describe_checkpoint(event)
        case RateReduced(epoch=epoch, lr=lr, why=why):
            return f"learning rate {lr:.3g} after epoch {words.count(epoch)}: {why}", "text"
        case WeightsCompared(with_run=name, is_same=True):
            return f"the same weights as {name}, to the last bit", "good"
        case WeightsCompared(with_run=name):
            return f"other weights than {name}'s", "bad"
        case Finished(step=step, why=why):
            return f"finished at step {words.count(step)}{f': {why}' if why else ''}", "accent"
        case other:
            assert_never(other)


def _describe_checkpoint(saved: CheckpointSaved) -> tuple[str, Role] | None:
    match saved.why:
        case "epoch":
            return None
        case "best":
            return f"saved epoch {words.count(saved.epoch)}: best so far", "good"
        case why:
            return f"checkpoint ({why}) at step {words.count(saved.step)}", "muted"


def _describe_trouble(
    event: NotFinite | Warned | CheckpointGone | Failed,
) -> tuple[str, Role] | None:
    match event:
        case NotFinite():
            return in_words(event), "bad"
        case Warned(text=text):
            return text, "warn"
        case CheckpointGone(file=file, why=why):
            return (f"checkpoint {file} is damaged", "bad") if why == "damaged" else None
        case Failed(error=error):
            return f"failed: {error}", "bad"
        case other:
            assert_never(other)


def _describe_reply(
    event: CommandAccepted | CommandRefused | CommandDropped,
) -> tuple[str, Role] | None:
    match event:
        case CommandAccepted(asks=asks, detail=detail, at=at):
            text = f"{asks} {detail}".strip()
            return (f"asked: {text}, between epochs", "text") if at == "epoch" else None
        case CommandRefused(asks=asks, detail=detail, reason=reason):
            return f"{f'{asks} {detail}'.strip()} refused: {reason}", "warn"
        case CommandDropped(reason=reason):
            return f"a command was dropped: {reason}", "warn"
        case other:
            assert_never(other)


def _describe_sweep(swept: RateSwept) -> tuple[str, Role]:
    found = "no suggestion" if swept.suggestion is None else f"suggests lr {swept.suggestion:g}"
    return f"lr-find at step {words.count(swept.step)}, undone: {found}", "accent"


def _describe_answer(
    event: LossSwapped | SettingChanged | TakeOpened | Paused | Resumed | StepsTaken | Stopped,
) -> tuple[str, Role]:
    at = f"at step {words.count(event.step)}"
    match event:
        case LossSwapped(loss=loss, previous=before):
            swap = f"{words.loss(before)} → {words.loss(loss)}"
            return f"loss {swap} after step {words.count(event.step)}", "swap"
        case SettingChanged(setting=setting, value=value, previous=previous):
            return f"{setting} {_setting(previous)} → {_setting(value)} {at}", "text"
        case TakeOpened(why=why, take=take):
            return f"{why}: take {take} goes on {at}", "swap"
        case Paused():
            return f"paused {at}", "warn"
        case Resumed():
            return f"went on {at}", "good"
        case StepsTaken(count=count):
            return f"{count} batch{'es' if count > 1 else ''} trained", "text"
        case Stopped(why=why):
            return f"stopped {at}{f' ({why})' if why else ''}", "warn"
        case other:
            assert_never(other)


def _setting(value: float | str | None) -> str:
    if isinstance(value, str):
        return words.schedule(value)
    return "off" if value is None else f"{value:.6g}"
