"""Say beforehand what going on with a run means."""

from __future__ import annotations

from tuitrain.catalog import SCHEDULES, load
from tuitrain.catalog.choice import schedule_of
from tuitrain.view.state.snapshot import Snapshot


def rate_jump(run: Snapshot, epochs: int) -> str | None:
    """Return what that many epochs in all do to a learning rate that follows a schedule.

    None where the rate goes on as it would have gone.
    """
    name = schedule_of(run.spec.optimizer)
    place = SCHEDULES.get(name)
    if place is None or run.latest is None or epochs == run.planned_epochs:
        return None
    after = run.settings["lr"] * load(place)(min(1.0, run.epoch / epochs))
    return (
        f"its {name} schedule now ends with epoch {epochs}: the learning rate goes from "
        f"{run.latest.lr:.2g} to {after:.2g}"
    )
