"""Explain why a trainer does not answer, as far as another process can see."""

from __future__ import annotations

import time

from tuitrain.connection.client import Client
from tuitrain.store import busy
from tuitrain.store.owner import is_stopped, process_of
from tuitrain.view.state.snapshot import State
from tuitrain.view.text import words


def why_silent(client: Client, state: State) -> str:
    """Return why the trainer of a live run does not answer, and how to fix it."""
    if (stopped := why_stopped(client)) is not None:
        return stopped
    if state == "starting":
        return "it is starting; what was asked for is done then"
    return _why_busy(client)


def why_stopped(client: Client) -> str | None:
    """Return how to continue a trainer that a signal has stopped; None if it is not stopped."""
    trainer = process_of(client.paths.owner)
    if trainer is None or not is_stopped(trainer):
        return None
    return f"its trainer is stopped by a signal; kill -CONT {trainer.pid} wakes it"


def _why_busy(client: Client) -> str:
    found, trainer = busy.read(client.paths.busy), process_of(client.paths.owner)
    why = "its trainer is busy or hangs"
    if found is not None:
        why = words.busy(time.time() - found.since, found.where, is_validating=found.is_validating)
    return f"{why}; {words.how_to_kill(trainer.pid)}" if trainer is not None else why
