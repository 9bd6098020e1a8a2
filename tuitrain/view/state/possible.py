"""The reasons why something cannot be done with a run."""

from __future__ import annotations

from tuitrain.core.watched import again
from tuitrain.view.state.progress import has_begun
from tuitrain.view.state.snapshot import Snapshot

_OF_THE_SCRIPT = {
    "epochs": "The script decides how long it trains; S stops it.",
    "schedule": "The script decides on its schedule; r changes the rate, whatever that does.",
    "batch-size": "The script makes its own batches: their size cannot be changed.",
}
_NO_STEP = "The script has not taken its first step yet."
_OF_THE_CHARTS = (
    "log_y", "x_axis", "smoother", "smoothing", "outliers", "zoom", "move", "first", "newest"
)  # fmt: skip
_OF_THE_OPTIMIZER = ("lr", "weight-decay", "clip-norm")


def why_not(run: Snapshot, action: str, setting: str = "") -> str | None:
    """Return why an action, or the change of a setting, is not for that run; None if it is."""
    if run.is_deleted and action in ("fork", "resume"):
        return "The run was deleted: nothing of it is left."
    if action in _OF_THE_CHARTS and not has_begun(run):
        return "There is no batch to look at yet."
    if not run.is_watched:
        is_live = action == "resume" and not run.has_ended
        return "It has not ended: there is nothing to resume." if is_live else None
    if setting in _OF_THE_SCRIPT:
        text = _OF_THE_SCRIPT[setting]
        return f"{text.partition(';')[0].rstrip('.')}." if run.has_ended else text
    if action == "lr_find":
        return "Only the script has its loop and its next batches: a sweep cannot train them ahead."
    if action in ("fork", "resume"):
        return f"Only its script has the data and the loop; {again(run.spec)}"
    if setting in _OF_THE_OPTIMIZER:
        return _why_not_setting(run)
    return _why_not_loss(run) if action == "losses" else None


def how_to_go_on(run: Snapshot, action: str = "") -> str:
    """Return what can be done with a run that has ended, in place of `action`; "" for another."""
    if not run.has_ended:
        return ""
    if run.is_deleted:
        return "The run was deleted: nothing of it is left."
    way = again(run.spec) if run.is_watched else "R goes on"
    if action == "rollback" and not run.is_watched:
        way = "f begins another run from one of its epochs, R goes on"
    return f"The run is {run.condition}; {way}."


def _why_not_setting(run: Snapshot) -> str | None:
    if run.started is None:
        return _NO_STEP
    if not run.started.optimizer:
        return "The script has no optimizer of PyTorch: it moves the weights itself."
    return None


def _why_not_loss(run: Snapshot) -> str | None:
    if run.started is None:
        return _NO_STEP
    if len(run.problem.losses) < 2:
        return "No other loss fits what the script computes: there is none to swap in."
    return None
