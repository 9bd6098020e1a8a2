"""The parts of a run and its tags, as texts that are safe for a terminal."""

from __future__ import annotations

from tuitrain.core import notes
from tuitrain.core.own import by_file_name
from tuitrain.core.safe import safe
from tuitrain.view.state.snapshot import Snapshot


def model_of(run: Snapshot) -> str:
    """Return the model as its spec names it, or its class where the task made it."""
    return _named(run.spec.model, run.started.model if run.started else "")


def optimizer_of(run: Snapshot) -> str:
    """Return the optimizer, named as the model is."""
    return _named(run.spec.optimizer, run.started.optimizer if run.started else "")


def device_of(run: Snapshot) -> str:
    """Return the device, as the run recorded it, else as its spec asks for it."""
    if run.started is not None:
        return safe(run.started.device, limit=64)
    return "–" if run.is_watched else run.spec.device


def rank_count(run: Snapshot) -> int:
    """Return how many processes train the run together; 0 while that is not known."""
    if run.started is None or run.state == "starting":
        return (run.spec.nproc or 0) * run.spec.nnodes
    text = run.started.environment.get("ranks", "")
    return int(text) if text.isdecimal() else 1


def batch_of(run: Snapshot) -> str:
    """Return the samples of a batch, and those of a step where several batches make one."""
    size, passes, ranks = run.settings["batch-size"], run.spec.accumulate, rank_count(run)
    text = f"batch {size:,}" + (f" × {passes}" if passes > 1 else "")
    if ranks == 1:
        return text
    return f"{text} on each " + (
        f"of {ranks} ranks, {size * passes * ranks:,} together" if ranks else "rank"
    )


def tags_of(run: Snapshot) -> tuple[str, ...]:
    """Return the tags that the run has."""
    return tuple(safe(tag, limit=40) for tag in notes.tags_of(run.notes))


def _named(text: str, recorded: str) -> str:
    return safe(by_file_name(text) or recorded or "–", limit=80)
