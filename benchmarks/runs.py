"""Runs of tuitrain to be measured: how to start them, read them and be rid of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import workload
from benchmarks.terminal import tuitrain
from tuitrain.connection.client import Client
from tuitrain.core.commands import Stop
from tuitrain.core.events import RunStarted
from tuitrain.store import lock
from tuitrain.store.delta import Cursor
from tuitrain.trainer import supervisor


def new(home: Path, *more: str, **changes: object) -> tuple[list[str], Client]:
    """Return the command that starts a run, and the run that it will be."""
    name = f"bench-{time.monotonic_ns()}"
    settings = workload.options(**changes)
    command = [tuitrain(), "run", workload.TASK, f"--name={name}", *settings, *more]
    return command, Client(home / "runs" / name)


@contextmanager
def ending(run: Client) -> Iterator[None]:
    """Stop the run after the block, and kill it if the block failed."""
    with killing(run):
        yield
        run.send(Stop())
        wait_until(lambda: not lock.is_held(run.paths.lock), 10)


@contextmanager
def killing(run: Client) -> Iterator[None]:
    """Leave no trainer behind, whatever happens in the block."""
    try:
        yield
    finally:
        give_up_at = time.monotonic() + 10
        while lock.is_held(run.paths.lock) and time.monotonic() < give_up_at:
            supervisor.kill(run.paths)
            time.sleep(0.05)


def wait_until(holds: Callable[[], bool], patience_s: float = 60) -> None:
    """Look often until it holds."""
    give_up_at = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > give_up_at:
            raise TimeoutError("waited in vain")
        time.sleep(0.02)


def wait_for_batch(run: Client) -> None:
    """Wait until the run has trained a batch, and see that it does so with one thread."""
    wait_until(lambda: run.look(Cursor()).delta.latest is not None)
    events = [recorded.event for recorded in run.look(Cursor()).delta.events]
    threads = [event.environment["threads"] for event in events if isinstance(event, RunStarted)]
    assert threads == ["1"], f"the trainer has {threads} threads"
