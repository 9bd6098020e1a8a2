"""Batches whose loss or gradient was nonfinite, and their reports."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from tuitrain.core.events import BatchDone, NotFinite
from tuitrain.engine.device import read

What: TypeAlias = Literal["loss", "gradient"]


class NonfiniteBatches:
    """The nonfinite batches of a run that are not reported yet.

    On an accelerator the flags are not known at once. They are read with the losses, and by the
    loop at the latest at the end of an epoch and before a pause, a change or a checkpoint.
    """

    def __init__(self, *, is_synchronous: bool) -> None:
        self.known: list[BatchDone] = []
        self.unread: list[BatchDone] = []
        self._is_synchronous = is_synchronous
        self._last: tuple[int, int] | None = None
        """Take and step of the nonfinite batch before."""

    def note(self, done: BatchDone) -> None:
        """Take a trained batch; the next boundary handles it if it was nonfinite."""
        if not self._is_synchronous:
            self.unread.append(done)
        elif done.nonfinite:
            self.known.append(done)

    def has_read(self, until: BatchDone, nonfinite: Iterable[BatchDone]) -> None:
        """Take the nonfinite batches among those up to `until`, which the caller has read."""
        now_read = [done for done in self.unread if _place(done) <= _place(until)]
        if now_read:
            del self.unread[: len(now_read)]
            places = {_place(done) for done in nonfinite}
            self.known += [done for done in now_read if _place(done) in places]

    def read_all(self) -> None:
        """Read all flags that are still unread; waits for an accelerator."""
        unread, self.unread = self.unread, []
        flags = read([done.nonfinite for done in unread])
        self.known += [done for done, flag in zip(unread, flags, strict=True) if flag]

    def report(self) -> Iterator[NotFinite]:
        """Report the known ones, once for each sequence of consecutive nonfinite batches."""
        known, self.known = self.known, []
        for done in known:
            if self._last != (done.take, done.step - 1):
                what: What = "gradient" if math.isfinite(float(done.loss)) else "loss"
                yield NotFinite(done.take, done.step, done.epoch - 1, what)
            self._last = _place(done)

    def start_anew(self) -> None:
        """Report the next one even if it directly follows another, as after a pause."""
        self._last = None


def _place(done: BatchDone) -> tuple[int, int]:
    return done.take, done.step
