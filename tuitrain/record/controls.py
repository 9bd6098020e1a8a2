"""From the inbox to the loop: commands as files, and the two things that end a run unasked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tuitrain.core.commands import Request, SaveCheckpoint, Stop
from tuitrain.store import inbox

LOOK_AFTER_S = 0.02
CHECK_AFTER_S = 1.0


class Controls:
    """Look for commands; called by the loop between two batches.

    A file is removed only after its answer is in the record, so that a crash in between loses
    nothing; `known` holds the ids that are answered already.
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
        """`checkpoints` is the folder that there must be; where it is gone, a save makes it."""
        self._folder = folder
        self._checkpoints = checkpoints
        self._known = known
        self._ending = ending
        self._idle = idle
        self._answered: list[Path] = []
        self._look_at = 0.0
        self._told_to_end = False
        self._check_at = 0.0
        self._had_checkpoints = True

    def __call__(self, wait_s: float | None) -> Sequence[Request]:
        """Return new commands in the order in which they were asked, waiting up to `wait_s`."""
        now = time.monotonic()
        if wait_s == 0 and now < self._look_at:
            return ()
        until = None if wait_s is None else now + wait_s
        while not (found := self._look()) and (until is None or now < until):
            self._idle()
            time.sleep(LOOK_AFTER_S if until is None else min(LOOK_AFTER_S, until - now))
            now = time.monotonic()
        self._look_at = now + LOOK_AFTER_S
        return found

    def close(self) -> None:
        """Remove the files that are answered."""
        for path in self._answered:
            path.unlink(missing_ok=True)
        self._answered = []

    def _look(self) -> list[Request]:
        self.close()
        found: list[Request] = []
        for path in self._waiting():
            request = inbox.read(path)
            self._answered.append(path)
            if request is not None and request.id not in self._known:
                self._known.add(request.id)
                found.append(request)
        found += self._own()
        return found

    def _waiting(self) -> list[Path]:
        try:
            return inbox.waiting(self._folder)
        except FileNotFoundError:  # removed under the trainer
            self._folder.mkdir(mode=0o700)
            return []

    def _own(self) -> Iterator[Request]:
        """Yield what nobody has to ask for."""
        if self._checkpoints is not None and time.monotonic() >= self._check_at:
            self._check_at = time.monotonic() + CHECK_AFTER_S
            is_there = self._checkpoints.is_dir()
            if self._had_checkpoints and not is_there:  # asked for once, whatever comes of it
                yield Request.new(SaveCheckpoint("their folder was removed"))
            self._had_checkpoints = is_there
        why = self._ending()
        if why is not None and not self._told_to_end:
            self._told_to_end = True
            yield Request.new(Stop(why))
