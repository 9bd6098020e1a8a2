"""The learning rate of a run."""

from __future__ import annotations

from tuitrain.core.events import SettingChanged, TakeOpened
from tuitrain.view.state.snapshot import Snapshot


def lr_of(run: Snapshot) -> float | None:
    """Return the learning rate in use; None where there is none, or the trainer has not said it.

    Of a watched script it is that of the newest step, since only the script knows its schedule.
    """
    lr: float = run.settings["lr"]
    if not run.is_watched:
        return lr or None
    if run.started is None or not run.started.optimizer:
        return None
    return run.latest.lr if run.latest and not _is_new(run) else lr


def lr_at(run: Snapshot, step: int) -> float | None:
    """Return the learning rate that was set for a step of the lineage, before any schedule."""
    lr = run.lineage.initial_settings["lr"]
    for event in run.lineage.kept_events:
        if isinstance(event, TakeOpened) and event.step < step:
            lr = event.settings.get("lr", lr)
        elif isinstance(event, SettingChanged) and event.setting == "lr" and event.step < step:
            lr = event.value
    return float(lr) if lr else None


def _is_new(run: Snapshot) -> bool:
    """Return whether no step was trained since a command changed the learning rate."""
    changed = [change.step or 0 for change in run.interventions
               if change.kind == "lr" and change.state == "applied"]  # fmt: skip
    return bool(changed) and changed[-1] >= run.step
