"""Batches whose loss or gradient was not finite: which they were, and what there is to report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from tuitrain.core.events import BatchDone, NotFinite
from tuitrain.engine.device import read

What: TypeAlias = Literal["loss", "gradient"]


class NonfiniteBatches:
    """The nonfinite batches of a run that are not reported yet.

    On an accelerator nobody knows at once which they are: whoever reads the losses reads that, too,
    and the loop at the end of an epoch and before a pause, a change or a checkpoint at the latest.
    """

    def __init__(self, *, reads_at_once: bool) -> None:
        self.known: list[BatchDone] = []
        self.unread: list[BatchDone] = []
        self._reads_at_once = reads_at_once
        self._last: tuple[int, int] | None = None
        """The place of the one that was reported last."""

    def note(self, done: BatchDone) -> None:
        """Take a batch that was trained; the next boundary deals with it if it was nonfinite."""
        if not self._reads_at_once:
            self.unread.append(done)
        elif done.bad:
            self.known.append(done)

    def has_read(self, until: BatchDone, nonfinite: Iterable[BatchDone]) -> None:
        """Learn which batches were nonfinite of those up to `until`, from who has read them."""
        known = [done for done in self.unread if _place(done) <= _place(until)]
        if known:
            del self.unread[: len(known)]
            places = {_place(done) for done in nonfinite}
            self.known += [done for done in known if _place(done) in places]

    def read_all(self) -> None:
        """Read all that nobody has read; an accelerator is waited for."""
        unread, self.unread = self.unread, []
        flags = read([done.bad for done in unread])
        self.known += [done for done, flag in zip(unread, flags, strict=True) if flag]

    def report(self) -> Iterator[NotFinite]:
        """Report those that are known: once for each stretch of them without a finite one."""
        known, self.known = self.known, []
        for done in known:
            if self._last != (done.take, done.step - 1):
                what: What = "gradient" if math.isfinite(float(done.loss)) else "loss"
                yield NotFinite(done.take, done.step, done.epoch - 1, what)
            self._last = _place(done)

    def start_anew(self) -> None:
        """Report the next one, even right after one: whoever goes on after a pause is to know."""
        self._last = None


def _place(done: BatchDone) -> tuple[int, int]:
    return done.take, done.step
