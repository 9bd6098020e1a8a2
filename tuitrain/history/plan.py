"""The plan of a lineage: its changes with their places, to be reapplied unattended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tuitrain.core.commands import Change, SwapLoss
from tuitrain.core.errors import DamagedRecord, NotOnLineage, WrongUse
from tuitrain.core.events import Event, LossSwapped, SettingChanged, TakeOpened
from tuitrain.core.plan import Planned, planned_command
from tuitrain.core.safe import safe
from tuitrain.history.changes import change_id
from tuitrain.history.lineage import Lineage


def plan_of(lineage: Lineage) -> list[Planned]:
    """Return the changes on a lineage, in order, without those that an undo reverted."""
    plan: list[Planned] = []
    settings = dict(lineage.initial_settings)
    for event in lineage.kept_events:
        for change in changes_of(event):
            kind, value = change.command.kind, _value(change.command)
            if kind != "pace" and settings.get(kind) != value:
                plan.append(change)
            settings[kind] = value
    return plan


def without(plan: Iterable[Planned], ids: Sequence[str]) -> list[Planned]:
    """Return the plan without the changes of those ids, or unique prefixes of ids.

    Raises NotOnLineage if the plan has no such change.
    """
    plan = list(plan)
    left_out = {_id_in(plan, prefix) for prefix in ids}
    return [change for change in plan if change.id not in left_out]


def _id_in(plan: Iterable[Planned], prefix: str) -> str:
    ids = {change.id for change in plan if prefix and change.id.startswith(prefix)}
    if prefix in ids or len(ids) == 1:
        return prefix if prefix in ids else ids.pop()
    there = ", ".join(
        f"{change.id} ({change.command.kind} {change.command.detail})" for change in plan
    )
    raise NotOnLineage(
        f"{safe(prefix)} is {'no' if not ids else 'not one'} change on its lineage; "
        + (f"there: {safe(there)}" if there else "there is none")
    )


def changes_of(event: Event) -> list[Planned]:
    """Return the planned changes that reapply the event's change."""
    match event:
        case LossSwapped(loss=loss):
            changes: dict[str, object] = {"loss": loss}
        case SettingChanged(setting=setting, value=value):
            changes = {setting: value}
        case TakeOpened(settings=settings):
            changes = dict(settings)
        case _:
            return []
    try:
        return [
            Planned(event.step, event.epoch, change_id(event), planned_command(kind, value))
            for kind, value in changes.items()
        ]
    except WrongUse as error:
        raise DamagedRecord(f"its record has a change that cannot be made: {error}") from None


def _value(command: SwapLoss | Change) -> object:
    return command.loss if isinstance(command, SwapLoss) else command.value
