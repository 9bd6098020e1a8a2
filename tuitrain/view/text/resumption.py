"""Say beforehand what going on with a run means."""

from __future__ import annotations

from tuitrain.core.schedules import SCHEDULES, RateSchedule, share_done
from tuitrain.view.state.snapshot import Snapshot


def rate_jump(run: Snapshot, epochs: int | None = None, schedule: str | None = None) -> str | None:
    """Return what a resume to that many epochs, or with a new schedule, does to the learning rate.

    None where the rate goes on as it would have gone.
    """
    planned = epochs or run.planned_epochs
    used = RateSchedule.read(schedule or run.settings["schedule"], now=run.epoch)
    if run.latest is None or used.name not in SCHEDULES:
        return None
    if schedule is None and (used.is_constant or planned == run.planned_epochs):
        return None
    factor = SCHEDULES[used.name](share_done(run.epoch, used.begin, planned))
    before, after = f"{run.latest.lr:.2g}", f"{run.settings['lr'] * factor:.2g}"
    if schedule is not None and before == after:
        return None
    return f"{_message(used, planned, schedule)}: the learning rate goes from {before} to {after}"


def _message(used: RateSchedule, epochs: int, schedule: str | None) -> str:
    if schedule is None:
        return f"its {used.name} schedule now ends with epoch {epochs}"
    if used.is_constant:
        return "its schedule is constant from here on"
    return f"its {used.name} schedule begins here and ends with epoch {epochs}"
