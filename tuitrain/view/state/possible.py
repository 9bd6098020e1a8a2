"""What cannot be done with a run, and why."""

from __future__ import annotations

from tuitrain.core.watched import again
from tuitrain.view.state.snapshot import Snapshot

_OF_THE_SCRIPT = {
    "epochs": "The script decides how long it trains; S stops it.",
    "batch-size": "The script makes its own batches: their size cannot be changed.",
}
_OF_THE_OPTIMIZER = ("lr", "weight-decay", "clip-norm")


def why_not(run: Snapshot, action: str, setting: str = "") -> str | None:
    """Return why an action, or the change of a setting, is not for that run; None if it is."""
    if not run.is_watched:
        return None
    if setting in _OF_THE_SCRIPT:
        return _OF_THE_SCRIPT[setting]
    if action in ("fork", "resume"):
        return f"Only its script has the data and the loop; {again(run.spec)}"
    started = run.started
    if started and setting in _OF_THE_OPTIMIZER and not started.optimizer:
        return "The script has no optimizer of PyTorch: it moves the weights itself."
    if started and action == "losses" and len(run.problem.losses) < 2:
        return "No other loss fits what the script computes, so there is none to swap in."
    return None
