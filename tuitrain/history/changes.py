"""Changes of a run: those that an undo takes back, and the one that it would take back now."""

from __future__ import annotations

from collections.abc import Sequence

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


def last_change(events: Sequence[Event]) -> tuple[Change, CheckpointSaved] | None:
    """Return the change that an `undo` takes back, and the checkpoint from just before it.

    A change that a resume made again is as old as it was the first time.
    """
    found: tuple[Change, CheckpointSaved] | None = None
    seen: set[str] = set()
    saved: CheckpointSaved | None = None
    for event in events:
        if isinstance(event, CheckpointSaved):
            saved = event
        elif isinstance(event, Change) and change_id(event) not in seen:
            seen.add(change_id(event))
            if is_change(event):
                found = (event, saved) if saved else None
    return found


def change_id(event: Change) -> str:
    """Return the id by which a resume makes the change again: its command's, if it has one."""
    return event.command or f"take-{event.take}"
