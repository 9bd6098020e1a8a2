"""Explain why a trainer does not answer, as far as another process can see."""

from __future__ import annotations

from tuitrain.connection.client import Client
from tuitrain.store.owner import is_stopped, process_of
from tuitrain.view.state.snapshot import State


def why_silent(client: Client, state: State) -> str:
    """Return why the trainer of a live run does not answer, and how to fix it."""
    busy = "it is starting" if state == "starting" else "its trainer is busy or hangs"
    return why_stopped(client) or busy


def why_stopped(client: Client) -> str | None:
    """Return how to continue a trainer that a signal has stopped; None if it is not stopped."""
    trainer = process_of(client.paths.owner)
    if trainer is None or not is_stopped(trainer):
        return None
    return f"its trainer is stopped by a signal; kill -CONT {trainer.pid} wakes it"
