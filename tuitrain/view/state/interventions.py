"""The commands and checkpoints of a run after new events, each of which is looked at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tuitrain.core.events import (
    Answer,
    CheckpointGone,
    CheckpointSaved,
    CommandAccepted,
    CommandDropped,
    CommandRefused,
    Event,
    TakeOpened,
)
from tuitrain.history.lineage import Lineage
from tuitrain.view.state.snapshot import Intervention


def interventions_after(
    known: tuple[Intervention, ...], events: Iterable[Event], lineage: Lineage
) -> tuple[Intervention, ...]:
    """Return the commands and their outcomes; `lineage` includes the new events."""
    interventions = {intervention.id: intervention for intervention in known}
    undone_by = {opening.command: opening.undone for opening in lineage.openings.values()}
    for event in events:
        match event:
            case CommandAccepted():
                interventions[event.command] = Intervention(
                    event.command, event.asks, event.detail, event.asked_at, "pending", event.at
                )
            case CommandRefused():
                interventions[event.command] = Intervention(
                    event.command, event.asks, event.detail, event.asked_at, "refused",
                    reason=event.reason,
                )  # fmt: skip
            case CommandDropped(command=command, reason=reason):
                _change(interventions, command, state="dropped", reason=reason)
            case _ if isinstance(event, Answer | CheckpointSaved):
                where = {"take": event.take, "step": event.step, "epoch": event.epoch}
                _change(interventions, event.command, state="applied", **where)
        if isinstance(event, TakeOpened) and event.undone is not None:
            _change(interventions, event.undone, state="undone")
            _change(interventions, undone_by.get(event.undone), state="applied")  # an undo undone
    return tuple(interventions.values())


def checkpoints_after(
    known: tuple[CheckpointSaved, ...], events: Iterable[Event]
) -> tuple[CheckpointSaved, ...]:
    """Return the checkpoints that are kept, oldest first."""
    kept = {saved.file: saved for saved in known}
    for event in events:
        if isinstance(event, CheckpointSaved):
            kept[event.file] = event
        elif isinstance(event, CheckpointGone):
            kept.pop(event.file, None)
    return tuple(kept.values())


def _change(interventions: dict[str, Intervention], command: str | None, **changes: Any) -> None:
    if command in interventions:
        interventions[command] = replace(interventions[command], **changes)
