"""Advice for a run that waits for a decision."""

from __future__ import annotations

from typing import NamedTuple

from tuitrain.core.events import Event, NotFinite, Resumed, RunStarted, StepsTaken, TakeOpened
from tuitrain.core.safe import safe
from tuitrain.core.watched import again
from tuitrain.history.changes import changes_training, last_change
from tuitrain.view.state.rate import lr_of
from tuitrain.view.state.snapshot import DELETED, DIED, Snapshot
from tuitrain.view.text import words

_CONTINUED = RunStarted | Resumed | StepsTaken | TakeOpened
"""Events after which the cause of an earlier pause no longer applies."""


class Advice(NamedTuple):
    """A problem, and the user's way out."""

    trouble: str
    ways: tuple[str, ...]
    """Remedies, each with its key, the likeliest first."""


def advice(run: Snapshot) -> Advice | None:
    """Return advice on a crash, a batch without end or a nonfinite pause; None for none of them."""
    if run.is_deleted:
        return Advice(f"{DELETED}: nothing of it is left", ("q leaves",))
    if run.state == "crashed":
        is_intact = run.started and safe(run.error).startswith(DIED)
        intact = "; nothing on record is lost" if is_intact else ""
        return Advice(f"{safe(run.error)}{intact}", _keys_after_crash(run))
    if run.busy is not None and run.busy.is_long and run.pid is not None:
        return Advice(words.busy(**run.busy._asdict()), (words.how_to_kill(run.pid),))
    nonfinite = nonfinite_pause(run)
    if nonfinite is None:
        return None
    if nonfinite.name:
        return Advice(_went_back(nonfinite), _ways_after_going_back(run))
    undo = ("u undo",) if last_change(run.lineage.events) is not None else ()
    if _has_changed_since(run, nonfinite):
        ways: tuple[str, ...] = ("space go on", *undo, "b go back")
    else:
        lower = f"r lower the rate ({lr_of(run) or 0:g})"
        # steps before it may have ruined the weights, which a lower rate alone does not mend
        ways = (lower, "b then go back", "l swap the loss", *undo, "space go on")
    return Advice(f"{in_words(nonfinite)}: that step is not taken", ways)


def _ways_after_going_back(run: Snapshot) -> tuple[str, ...]:
    undo = ("u undo",) if last_change(run.lineage.events) is not None else ()
    lower = f"r lower the rate ({lr_of(run) or 0:g})"
    return (lower, *undo, "space go on", "or scale the inputs of a new run")


def after_crash(run: Snapshot) -> str:
    """Return what to do in a shell about a run whose trainer died."""
    name = safe(run.name)
    if run.is_watched:
        return again(run.spec)
    if run.started is None:
        return f"tuitrain logs {name} has its last words, tuitrain rm {name} deletes it"
    return f"tuitrain resume {name} goes on from its last checkpoint"


def _keys_after_crash(run: Snapshot) -> tuple[str, ...]:
    if run.is_watched:
        return (again(run.spec),)
    if run.started is None:
        return "6 has its last words", "D deletes it in the list of runs"
    return ("R goes on from its last checkpoint",)


def in_words(nonfinite: NotFinite) -> str:
    """Return which value was nonfinite, and at which step; where the run went back, what next."""
    if nonfinite.name:
        return f"{_went_back(nonfinite)}; lower the rate, or scale the inputs"
    return f"{nonfinite.what} not finite at step {words.count(nonfinite.step)}"


def _went_back(nonfinite: NotFinite) -> str:
    steps = (nonfinite.since, nonfinite.step, nonfinite.back_at)
    since, found, back_at = map(words.count, steps)
    what = safe(nonfinite.subject, limit=100)
    return f"{what} not finite between steps {since} and {found}: back at step {back_at}"


def nonfinite_pause(run: Snapshot) -> NotFinite | None:
    """Return what was nonfinite and paused the run, some steps back if need be; else None."""
    if run.state != "paused":
        return None
    last = next(filter(_decides, (recorded.event for recorded in reversed(run.log))), None)
    if not isinstance(last, NotFinite):
        return None
    stays_back = last.name and run.step == last.back_at  # where bad batches are skipped, it may
    return last if run.spec.on_nonfinite == "pause" or stays_back else None


def _decides(event: Event) -> bool:
    """Return whether the event tells if a nonfinite value is why a run is paused."""
    if isinstance(event, TakeOpened) and event.went_back_by_itself:
        return False  # for what the event before it tells of
    return isinstance(event, NotFinite | _CONTINUED)


def _has_changed_since(run: Snapshot, nonfinite: NotFinite) -> bool:
    events, schedule = [recorded.event for recorded in run.log], run.settings["schedule"]
    later = events[events.index(nonfinite) :]
    return any(changes_training(event, schedule) for event in later)
