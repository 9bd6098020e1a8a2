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
    """Return how many processes train the run together, as it recorded; 1 before its start."""
    text = run.started.environment.get("ranks", "") if run.started else ""
    return int(text) if text.isdecimal() else 1


def tags_of(run: Snapshot) -> tuple[str, ...]:
    """Return the tags that the run has."""
    return tuple(safe(tag, limit=40) for tag in notes.tags_of(run.notes))


def _named(text: str, recorded: str) -> str:
    return safe(by_file_name(text) or recorded or "–", limit=80)
