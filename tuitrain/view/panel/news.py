"""News of a run for a user who looks elsewhere."""

from __future__ import annotations

from typing import Literal

from tuitrain.core.safe import safe
from tuitrain.view.panel.advice import in_words, nonfinite_pause
from tuitrain.view.state.metrics import monitor_of, monitored
from tuitrain.view.state.snapshot import DELETED, Snapshot
from tuitrain.view.text import words

News = Literal["finished", "failed", "crashed", "paused"]


def news(before: Snapshot, run: Snapshot) -> News | None:
    """Return what has happened between two looks at a run; None for nothing of note.

    A stop or a pause by command is no news, a pause by a nonfinite loss is.
    """
    if run.state != before.state and not run.is_deleted:
        match run.state:
            case "finished" | "failed" | "crashed" as ending:
                return ending
            case "paused" if nonfinite_pause(run) is not None:
                return "paused"
    return None


def since_shown(shown: Snapshot, run: Snapshot) -> str:
    """Return what became of the run since the screen behind a dialog showed it; "" for nothing."""
    if run.condition == shown.condition:
        return ""
    if run.is_deleted:
        return DELETED
    if run.has_ended:
        return f"the run has {run.state}"
    bad = nonfinite_pause(run)
    why = f": {in_words(bad)}" if bad else ""
    return "the run goes on" if run.state == "running" else f"the run is {run.state}{why}"


def as_message(run: Snapshot) -> str:
    """Return the news of a run as one line, safe for a terminal."""
    bad = nonfinite_pause(run)
    reason = run.error or run.why or (in_words(bad) if bad else "")
    best = monitored(run, run.best)
    if run.state == "finished" and not reason and run.best and best is not None:
        reason = (
            f"best {monitor_of(run)} {words.value(best)} in epoch {words.count(run.best.epoch)}"
        )
    at = f"{run.state} at step {words.count(run.step)}"
    return safe(f"tuitrain: {run.title} {at}{f': {reason}' if reason else ''}")
