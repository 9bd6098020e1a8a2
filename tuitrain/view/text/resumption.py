"""Say beforehand what going on with a run means."""

from __future__ import annotations

from typing import NamedTuple

from tuitrain.core.errors import WrongUse
from tuitrain.core.options import OPTIONS
from tuitrain.core.schedules import SCHEDULES, RateSchedule
from tuitrain.view.state.progress import planned_epochs
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text.words import count


class Resumption(NamedTuple):
    """The settings with which a run goes on; None leaves one as it is."""

    epochs: int | None = None
    """How many in all."""
    schedule: str | None = None
    """A new one of the learning rate, which begins where the run goes on."""
    notified: tuple[str, ...] = ()
    """The words of a command that is told how it ends."""


def asked_for(run: Snapshot, epochs: str, schedule: str) -> Resumption:
    """Return the resumption of a finished run that a user typed; an empty schedule is none.

    Raises WrongUse for what is no such number or schedule, and if no epoch would be left.
    """
    total: int = OPTIONS["epochs"].read(epochs)
    if total <= run.epoch:
        raise WrongUse(f"{count(run.epoch)} epochs are trained: it goes on with more in all")
    return Resumption(total, OPTIONS["lr_schedule"].read(schedule) if schedule else None)


def meaning(run: Snapshot, resumption: Resumption) -> str:
    """Return what a resumption does to the learning rate."""
    if (jump := rate_jump(run, resumption.epochs, resumption.schedule)) is not None:
        return jump
    chosen = RateSchedule.read(resumption.schedule or "constant")
    end = f", and decays to 0 by epoch {count(resumption.epochs or 0)}" if chosen.has_end else ""
    return f"the learning rate goes on as it is{end}"


def rate_jump(run: Snapshot, epochs: int | None = None, schedule: str | None = None) -> str | None:
    """Return what a resume to that many epochs, or with a new schedule, does to the learning rate.

    None where the rate goes on as it would have gone.
    """
    planned = epochs or planned_epochs(run)
    used = RateSchedule.read(schedule or run.settings["schedule"], now=run.epoch)
    if run.latest is None or used.name not in SCHEDULES:
        return None
    if schedule is None and (not used.has_end or planned == planned_epochs(run)):
        return None
    rate = run.settings["lr"] * used.factor(run.epoch, planned)
    before, after = f"{run.latest.lr:.2g}", f"{rate:.2g}"
    if schedule is not None and before == after:
        return None
    return f"{_message(used, planned, schedule)}: the learning rate goes from {before} to {after}"


def _message(used: RateSchedule, epochs: int, schedule: str | None) -> str:
    if schedule is None:
        return f"its {used.name} schedule now ends with epoch {epochs}"
    if used.is_constant:
        return "its schedule is constant from here on"
    end = f" and ends with epoch {epochs}" if used.has_end else ""
    return f"its {used.name} schedule begins here{end}"
