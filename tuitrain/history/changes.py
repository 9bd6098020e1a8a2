"""Changes of a run: those that an undo reverts, and the one that it would revert now."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeGuard

from tuitrain.core.events import CheckpointSaved, Event, LossSwapped, SettingChanged, TakeOpened
from tuitrain.core.schedules import SCHEDULES

Change = LossSwapped | SettingChanged | TakeOpened


def is_change(event: Event) -> TypeGuard[Change]:
    """Return whether `undo` reverts this event.

    It skips a pace, which changes no weights, and a setting that stayed as it was.
    """
    match event:
        case LossSwapped():
            return True
        case SettingChanged(setting=setting, value=value, previous=previous):
            return setting != "pace" and value != previous
        case TakeOpened(why=why):
            return why != "resume"
        case _:
            return False


def changes_training(event: Event, schedule: str) -> TypeGuard[Change]:
    """Return whether batches after the event are trained differently from those before it.

    A number of epochs matters only to a `schedule` that depends on the last one, as in use since.
    """
    if isinstance(event, SettingChanged) and event.setting == "epochs":
        shape = SCHEDULES.get(re.split("[:@]", schedule)[0])
        has_end = shape is None or shape.has_end  # one of the user's may depend on it, too
        return has_end and is_change(event)
    return is_change(event)


def last_change(events: Sequence[Event]) -> tuple[Change, CheckpointSaved] | None:
    """Return the change that an `undo` reverts, and the checkpoint from just before it.

    A change that a resume reapplied counts from the first time.
    """
    last: tuple[Change, CheckpointSaved] | None = None
    seen: set[str] = set()
    saved: CheckpointSaved | None = None
    for event in events:
        if isinstance(event, CheckpointSaved):
            saved = event
        elif isinstance(event, Change) and change_id(event) not in seen:
            seen.add(change_id(event))
            if is_change(event):
                last = (event, saved) if saved else None
    return last


def change_id(event: Change) -> str:
    """Return the id under which a resume reapplies the change: its command's, if it has one."""
    return event.command or f"take-{event.take}"
