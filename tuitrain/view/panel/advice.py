"""Advice for the user when a run waits for a decision; shown instead of the progress bars."""

from __future__ import annotations

from typing import NamedTuple

from tuitrain.core.events import NotFinite, Resumed, RunStarted, Stepped, TakeOpened
from tuitrain.core.safe import safe
from tuitrain.history.changes import is_change
from tuitrain.view.state.snapshot import DELETED, Snapshot
from tuitrain.view.text import words

_GONE_ON = RunStarted | Resumed | Stepped | TakeOpened
"""What a run does after a pause: what led to it is over then."""


class Advice(NamedTuple):
    """What went wrong, and what can be done about it."""

    trouble: str
    ways: tuple[str, ...]
    """Each with the key that does it, the likeliest first."""


def advice(now: Snapshot) -> Advice | None:
    """Return advice for the user of the run screen; None if nothing is wrong."""
    if now.error == DELETED:
        return Advice(f"{DELETED}: nothing of it is left", ("q leaves",))
    if now.state == "crashed":
        again = f"tuitrain resume {safe(now.name)} goes on from its last checkpoint"
        return Advice("the trainer process died unexpectedly; nothing on record is lost", (again,))
    bad = nonfinite_pause(now)
    if bad is None:
        return None
    if _has_changed_since(now, bad):
        ways: tuple[str, ...] = ("space go on", "u undo", "b go back")
    else:
        lower = f"r lower the rate ({now.settings['lr']:g})"
        ways = (lower, "l swap the loss", "b go back", "u undo", "space go on")
    return Advice(f"{in_words(bad)}: the weights are untouched", ways)


def in_words(bad: NotFinite) -> str:
    """Return what was not finite, and where."""
    return f"{bad.what} not finite at step {words.count(bad.step)}"


def nonfinite_pause(now: Snapshot) -> NotFinite | None:
    """Return the nonfinite batch that the run is paused for, which may lie some steps back."""
    if now.state != "paused" or now.spec.on_nonfinite != "pause":
        return None
    events = (recorded.event for recorded in reversed(now.log))
    last = next((event for event in events if isinstance(event, NotFinite | _GONE_ON)), None)
    return last if isinstance(last, NotFinite) else None


def _has_changed_since(now: Snapshot, bad: NotFinite) -> bool:
    events = [recorded.event for recorded in now.log]
    return any(is_change(event) for event in events[events.index(bad) :])
