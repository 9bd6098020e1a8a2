"""The commands of a run after new events, each of which is looked at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tuitrain.core.events import (
    CheckpointSaved,
    CommandAccepted,
    CommandDropped,
    CommandRefused,
    Event,
    LossSwapped,
    Paused,
    RateSwept,
    Resumed,
    SettingChanged,
    StepsTaken,
    Stopped,
    TakeOpened,
)
from tuitrain.history.lineage import Lineage
from tuitrain.view.state.snapshot import Intervention

_Applied = (
    CheckpointSaved, LossSwapped, Paused, RateSwept, Resumed, SettingChanged, StepsTaken, Stopped,
    TakeOpened,
)  # fmt: skip


def interventions_after(
    known: tuple[Intervention, ...], events: Iterable[Event], lineage: Lineage
) -> tuple[Intervention, ...]:
    """Return the commands and their outcomes; `lineage` includes the new events."""
    found = {intervention.id: intervention for intervention in known}
    undone_by = {opening.command: opening.undone for opening in lineage.openings.values()}
    for event in events:
        match event:
            case CommandAccepted():
                found[event.command] = Intervention(
                    event.command, event.asks, event.detail, event.asked_at, "pending", event.at
                )
            case CommandRefused():
                found[event.command] = Intervention(
                    event.command, event.asks, event.detail, event.asked_at, "refused",
                    reason=event.reason,
                )  # fmt: skip
            case CommandDropped(command=command, reason=reason):
                _change(found, command, state="dropped", reason=reason)
            case _ if isinstance(event, _Applied):
                where = {"take": event.take, "step": event.step, "epoch": event.epoch}
                _change(found, event.command, state="applied", **where)
        if isinstance(event, TakeOpened) and event.undone is not None:
            _change(found, event.undone, state="undone")
            _change(found, undone_by.get(event.undone), state="applied")  # an undo undone
    return tuple(found.values())


def _change(found: dict[str, Intervention], command: str | None, **changes: Any) -> None:
    if command in found:
        found[command] = replace(found[command], **changes)
