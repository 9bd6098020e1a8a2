"""Delivery of requests to the loop: commands from the inbox, and the trainer's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tuitrain.core.commands import Request, SaveCheckpoint, Stop
from tuitrain.store import inbox

LOOK_AFTER_S = 0.05
"""Time between two reads of the inbox. A read takes as long as a tenth of a step of 1 ms, and a
command may wait that long: a screen shows its answer a third of a second later at most."""
CHECK_AFTER_S = 1.0
"""Time between two checks of the checkpoint folder."""


class Controls:
    """Return new requests when the loop calls it, between two batches.

    A file is removed only once its answer is recorded, so that a crash in between loses nothing.
    """

    def __init__(
        self,
        folder: Path,
        *,
        known: set[str],
        ending: Callable[[], str | None],
        idle: Callable[[], None],
        checkpoints: Path | None = None,
    ) -> None:
        """Read commands from `folder`, except those with an id in `known`: they are answered.

        `ending` returns the reason to end the run, or None; `idle` is called while waiting. If
        the folder `checkpoints` is removed, a checkpoint is requested, which makes it again.
        """
        self._folder = folder
        self._checkpoints = checkpoints
        self._known = known
        self._ending = ending
        self._idle = idle
        self._answered: list[Path] = []
        self._look_at = 0.0
        self._has_requested_stop = False
        self._check_at = 0.0
        self._had_checkpoints = True

    def __call__(self, wait_s: float | None) -> Sequence[Request]:
        """Return new commands in the order in which they were sent; wait up to `wait_s` for one.

        None waits without limit.
        """
        now = time.monotonic()
        if wait_s == 0 and now < self._look_at:
            return ()
        until = None if wait_s is None else now + wait_s
        while not (requests := self._look()) and (until is None or now < until):
            self._idle()
            time.sleep(LOOK_AFTER_S if until is None else min(LOOK_AFTER_S, until - now))
            now = time.monotonic()
        self._look_at = now + LOOK_AFTER_S
        return requests

    def close(self) -> None:
        """Remove the files of answered commands."""
        for path in self._answered:
            path.unlink(missing_ok=True)
        self._answered = []

    def _look(self) -> list[Request]:
        self.close()
        requests: list[Request] = []
        for path in self._waiting():
            request = inbox.read(path)
            self._answered.append(path)
            if request is not None and request.id not in self._known:
                self._known.add(request.id)
                requests.append(request)
        requests += self._own_requests()
        return requests

    def _waiting(self) -> list[Path]:
        try:
            return inbox.waiting(self._folder)
        except FileNotFoundError:  # the folder was removed
            self._folder.mkdir(mode=0o700)
            return []

    def _own_requests(self) -> Iterator[Request]:
        """Yield a save if the checkpoint folder was removed, and a stop if the run should end."""
        if self._checkpoints is not None and time.monotonic() >= self._check_at:
            self._check_at = time.monotonic() + CHECK_AFTER_S
            has_checkpoints = self._checkpoints.is_dir()
            if self._had_checkpoints and not has_checkpoints:  # requested once, even if it fails
                yield Request.new(SaveCheckpoint("their folder was removed"))
            self._had_checkpoints = has_checkpoints
        reason = self._ending()
        if reason is not None and not self._has_requested_stop:
            self._has_requested_stop = True
            yield Request.new(Stop(reason))
