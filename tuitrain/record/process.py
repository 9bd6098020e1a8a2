"""The process of a trainer: its lock, owner file, children and signals."""

from __future__ import annotations

import json
import multiprocessing
import os
import select
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from tuitrain.core.files import write_atomically
from tuitrain.store.owner import this_process


def keep_lock(descriptor: int) -> Callable[[], None]:
    """Hold the lock of the run, and return what releases it; forked children close it.

    Once it is released, they close nothing: the number may be that of another file by then.
    """
    held = [descriptor]

    def release() -> None:
        while held:
            os.close(held.pop())

    os.set_inheritable(descriptor, False)
    os.register_at_fork(after_in_child=release)
    return release


def write_owner(path: Path) -> None:
    """Write the owner file, which identifies this process even if its pid is used again."""
    write_atomically(path, json.dumps(this_process()))


def end_children() -> None:
    """Kill the data loader processes; `os._exit` would leave them running."""
    children = multiprocessing.active_children()
    if children:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # else torch raises when they end
    for child in children:
        child.kill()
        child.join()


def handle(handler: Callable[[int, FrameType | None], object], *numbers: int) -> None:
    """Let a handler take signals to this process; the user's code can end what it starts by one.

    That is why none is ignored: a program that it starts would ignore it, too.
    """
    before = {number: signal.signal(number, handler) for number in numbers}

    def end_by_it() -> None:
        if signal.getsignal(signal.SIGTERM) == handler:
            signal.signal(signal.SIGTERM, before[signal.SIGTERM])

    if signal.SIGTERM in before:  # multiprocessing's
        os.register_at_fork(after_in_child=end_by_it)


class Ending:
    """Return why the run should end after this batch, or None; signal handlers only set a flag."""

    def __init__(self, owner_pipe: int | None = None) -> None:
        self._signal: str | None = None
        self._owner_pipe = owner_pipe
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        handle(self._note, signal.SIGTERM, signal.SIGINT)

    def __call__(self) -> str | None:
        """Return the name of a signal received, the loss of the owner, or None."""
        return self._signal or self._owner_lost()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._signal = signal.Signals(number).name

    def _owner_lost(self) -> str | None:
        """Return a reason once the pipe is readable: its owner never writes, so it was closed."""
        if self._owner_pipe is None or not select.select([self._owner_pipe], [], [], 0)[0]:
            return None
        return "the command that owned the run ended"
