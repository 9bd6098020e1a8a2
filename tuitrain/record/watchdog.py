"""A thread of the trainer that notes in a file when no batch ends, and where the trainer is."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType

from tuitrain.store import busy
from tuitrain.store.busy import Busy

LOOK_S = 1.0
"""Time between two looks."""
LONG_S = 4.0
"""Seconds after which a batch is long, unless earlier ones took nearly as long."""
_TIMES_THE_LONGEST = 3


class Watchdog:
    """Watches the thread that enters it; call `alive` whenever that thread gets on.

    The user's code may never return. Nothing can end it from within then, but every reader can be
    told where it is.
    """

    def __init__(
        self,
        path: Path,
        where: Callable[[FrameType], str],
        is_validating: Callable[[], bool] = lambda: False,
    ) -> None:
        """`where` returns the line of the user's code that a frame is in.

        `is_validating` is called by another thread than the one that is watched.
        """
        self._path, self._where, self._is_validating = path, where, is_validating
        self._thread = threading.get_ident()
        self._alive_at, self._longest_s = time.monotonic(), 0.0
        self._is_done = threading.Event()
        self._looker = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watchdog:
        self._path.unlink(missing_ok=True)
        self._looker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._is_done.set()
        self._looker.join()

    def alive(self) -> None:
        """Say that the watched thread gets on."""
        now = time.monotonic()
        self._longest_s = max(self._longest_s, now - self._alive_at)
        self._alive_at = now

    def _look(self) -> None:
        noted: Busy | None = None
        while not self._is_done.wait(LOOK_S):
            silent_s = time.monotonic() - self._alive_at
            busy_now = None
            if silent_s > max(LONG_S, _TIMES_THE_LONGEST * self._longest_s):
                since = noted.since if noted else time.time() - silent_s
                busy_now = Busy(since, self._place(), self._is_validating())
            if busy_now != noted:
                with suppress(OSError):  # it is a help, and not needed
                    self._note(busy_now)
                noted = busy_now
        self._path.unlink(missing_ok=True)

    def _note(self, busy_now: Busy | None) -> None:
        if busy_now is None:
            self._path.unlink(missing_ok=True)
        else:
            busy.write(self._path, busy_now)

    def _place(self) -> str:
        frame = sys._current_frames().get(self._thread)
        return "" if frame is None else self._where(frame)
