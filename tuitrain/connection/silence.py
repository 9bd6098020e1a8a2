"""Why nobody answers, as far as that can be told from outside."""

from __future__ import annotations

from tuitrain.client import Client
from tuitrain.store.owner import is_stopped, process_of
from tuitrain.view.model import State


def why_silent(client: Client, state: State) -> str:
    """Return what keeps the trainer of a live run from answering, and what helps."""
    trainer = process_of(client.paths.owner)
    if trainer is not None and is_stopped(trainer):
        return f"its trainer is stopped by a signal; kill -CONT {trainer.pid} wakes it"
    return "it is starting" if state == "starting" else "its trainer is busy or hangs"
