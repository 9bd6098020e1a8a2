"""What a trainer does to outlive terminals and to end truthfully: lock, owner file, signals."""

from __future__ import annotations

import json
import multiprocessing
import os
import select
import signal
from pathlib import Path
from types import FrameType

from tuitrain.core.files import write_atomically
from tuitrain.store.owner import this_process


def keep_lock(descriptor: int) -> None:
    """Hold the run's lock for the life of this process, and of no forked child of it."""
    os.set_inheritable(descriptor, False)
    os.register_at_fork(after_in_child=lambda: os.close(descriptor))


def sign(path: Path) -> None:
    """Write who trains: enough to tell this process from a later one with the same pid."""
    write_atomically(path, json.dumps(this_process()))


def end_children() -> None:
    """End the processes that read ahead, which a process that leaves at once would leave behind."""
    children = multiprocessing.active_children()
    if children:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch would make an error of their end
    for child in children:
        child.kill()
        child.join()


class Ending:
    """Know why the run should end after this batch, or None. Signals only set a flag."""

    def __init__(self, owner_pipe: int | None = None) -> None:
        self._signal: str | None = None
        self._owner_pipe = owner_pipe
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def __call__(self) -> str | None:
        """Return the reason."""
        return self._signal or self._owner_lost()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._signal = signal.Signals(number).name

    def _owner_lost(self) -> str | None:
        """The owner holds the pipe's other end and never writes: readable means that it is gone."""
        if self._owner_pipe is None or not select.select([self._owner_pipe], [], [], 0)[0]:
            return None
        return "the command that owned the run ended"
