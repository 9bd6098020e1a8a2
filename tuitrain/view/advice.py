"""What to do now: said where the bars of progress are, when a run waits for somebody to decide."""

from __future__ import annotations

from typing import NamedTuple

from tuitrain.core.events import NotFinite
from tuitrain.core.safe import safe
from tuitrain.view import words
from tuitrain.view.model import Snapshot


class Advice(NamedTuple):
    """What went wrong, and what can be done about it."""

    trouble: str
    ways: tuple[str, ...]
    """Each with the key that does it, the likeliest first."""


def advice(now: Snapshot) -> Advice | None:
    """Return what a user of the run screen should be told to do; None: nothing."""
    if now.state == "crashed":
        again = f"tuitrain resume {safe(now.name)} goes on from its last checkpoint"
        return Advice("the trainer ended without a word; nothing on record is lost", (again,))
    bad = next((each.event for each in now.log[::-1] if isinstance(each.event, NotFinite)), None)
    if now.state != "paused" or bad is None or (bad.take, bad.step) != (now.take, now.step):
        return None
    lower = f"r lower the rate ({now.settings['lr']:g})"
    return Advice(
        f"{bad.what} not finite at step {words.count(bad.step)}: the weights are untouched",
        (lower, "l swap the loss", "b go back", "u undo", "space go on"),
    )
