"""Changes of a run: those that an undo reverts, and the one that it would revert now."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from tuitrain.core.events import CheckpointSaved, Event, LossSwapped, SettingChanged, TakeOpened
from tuitrain.core.schedules import SCHEDULES
from tuitrain.history.lineage import Lineage

Change = LossSwapped | SettingChanged | TakeOpened


def is_change(event: Event) -> TypeGuard[Change]:
    """Return whether `undo` reverts this event.

    It skips a pace, which changes no weights, a setting that stayed as it was, and a take
    without a command: a run goes back by itself from what is not finite.
    """
    match event:
        case LossSwapped():
            return True
        case SettingChanged(setting=setting, value=value, previous=previous):
            return setting != "pace" and value != previous
        case TakeOpened(why=why):
            return why != "resume" and not event.went_back_by_itself
        case _:
            return False


def changes_training(event: Event, schedule: str) -> TypeGuard[Change]:
    """Return whether batches after the event are trained differently from those before it.

    A number of epochs matters only to a `schedule` that depends on the last one, as in use since.
    """
    if isinstance(event, SettingChanged) and event.setting == "epochs":
        return _has_end(schedule) and is_change(event)
    return is_change(event)


def _has_end(schedule: str) -> bool:
    """Return whether the last epoch matters to a schedule: to one of the user's it may."""
    shape = SCHEDULES.get(re.split("[:@]", schedule)[0])
    return shape is None or shape.has_end


def last_changed(lineage: Lineage) -> int:
    """Return the step since which batches are trained as now; 0: since the first one.

    A resumption keeps what a rollback had left in force: then its take began with other settings
    than those of its checkpoint.
    """
    changed, before, schedule = 0, lineage.initial_settings, lineage.settings["schedule"]
    for event, settings in lineage.settled():
        if changes_training(event, schedule) or (
            isinstance(event, TakeOpened) and _differ(before, settings, schedule)
        ):
            changed = event.step
        before = settings
    return changed


def _differ(before: Mapping[str, Any], after: Mapping[str, Any], schedule: str) -> bool:
    """Return whether batches are trained differently by these settings."""
    of_no_batch = ("pace",) if _has_end(schedule) else ("pace", "epochs")
    return any(
        value != after[name]
        for name, value in before.items()
        if name in after and name not in of_no_batch
    )


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
