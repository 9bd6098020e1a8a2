"""From the loop to the record: batches are gathered and written every tenth of a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from tuitrain.core.events import (
    BatchDone,
    EpochEnded,
    Event,
    Failed,
    LastWord,
    Paused,
    Resumed,
    RunStarted,
)
from tuitrain.store.schema import BatchRow, key_of
from tuitrain.store.writer import RunWriter, Stamped

FLUSH_AFTER_S = 0.1
CHECK_AFTER_S = 1.0
"""While nothing is written: a paused run, or one that keeps a slow pace."""


class Recorder:
    """Stamp events with the time of the run and hand them to its writer."""

    def __init__(
        self,
        writer: RunWriter,
        clock: Callable[[], float] = time.monotonic,
        *,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`check` is called before each write, and now and then; it raises if none may follow."""
        self._writer = writer
        self._clock = clock
        self._check = check
        self._batches: list[tuple[float, BatchDone]] = []
        self._rows: list[BatchRow] = []
        self._events: list[Stamped] = []
        self._last_word: Stamped | None = None
        self._flush_at = clock() + FLUSH_AFTER_S
        self._check_at = 0.0
        self._trained_s = writer.elapsed_ms / 1000
        self.newest_read: BatchDone | None = None
        """The batch up to which all numbers are read."""
        self._bad: list[BatchDone] = []
        self._running_since: float | None = None
        self._microseconds: Callable[..., list[int]] = lambda marks: [0] * (len(marks) - 1)

    def time_with(self, microseconds: Callable[..., list[int]]) -> None:
        """Use this to make sense of the marks in the batches to come."""
        self._microseconds = microseconds

    def take(self, event: BatchDone | Event) -> None:
        """Record an event: a batch or an epoch soon, the last word at the close, others at once."""
        now = self._clock()
        if isinstance(event, BatchDone):
            self._batches.append((now, event))
        else:
            self._take_event(event, now)
        if now >= self._flush_at:
            self.flush()

    def flush_if_due(self) -> None:
        """Write what has waited long enough, having checked that the record is ours to write."""
        if self._clock() >= self._check_at:
            self._check()
            self._check_at = self._clock() + CHECK_AFTER_S
        if (self._batches or self._rows or self._events) and self._clock() >= self._flush_at:
            self.flush()

    def flush(self) -> None:
        """Write all that waits, in one transaction."""
        self._check()
        self._gather()
        self._writer.write(self._rows, self._events)
        self._rows, self._events = [], []
        self._flush_at = self._clock() + FLUSH_AFTER_S

    def fail(self, failure: Failed) -> None:
        """Let the failure be the last word, even if the device with the last batches failed."""
        try:
            self.flush()
        except Exception:  # noqa: BLE001 - these steps are lost; a resumption trains them again
            self._batches = []
        self.take(failure)

    def close(self) -> None:
        """Record what waits and after it the last word; the process ends with it."""
        self.flush()
        if self._last_word is not None:
            self._writer.write([], [self._last_word])

    def bad_batches(self) -> list[BatchDone]:
        """Return, once, the batches whose numbers were read by now and were not finite."""
        bad, self._bad = self._bad, []
        return bad

    def glance(self, step: int, losses: Mapping[str, float]) -> None:
        """Keep what every loss makes of the newest batch."""
        self._writer.glance(step, losses)

    def _take_event(self, event: Event, now: float) -> None:
        if not isinstance(event, EpochEnded):
            self._gather()  # by the time that was kept while they were trained
            self._keep_time(event, now)
            self._flush_at = now
        stamped = Stamped(time.time(), self._elapsed_ms(now), event)
        if isinstance(event, LastWord):
            self._last_word = stamped
        else:
            self._events.append(stamped)

    def _gather(self) -> None:
        """Make rows of the batches, reading all their losses at once."""
        if not self._batches:
            return
        from tuitrain.engine.device import read  # torch is there, since it made these batches

        several = [done for _, done in self._batches]
        numbers = read([each for done in several for each in (done.loss, done.bad)])
        losses, bad = numbers[::2], numbers[1::2]
        self._bad += [done for done, is_bad in zip(several, bad, strict=True) if is_bad]
        self._rows += [
            BatchRow(
                key_of(done.take, done.step), done.epoch, loss, done.lr, done.samples,
                self._elapsed_ms(at), *self._microseconds(done.marks),
            )
            for (at, done), loss in zip(self._batches, losses, strict=True)
        ]  # fmt: skip
        self.newest_read = several[-1]
        self._batches = []

    def _keep_time(self, event: Event, now: float) -> None:
        if isinstance(event, RunStarted | Resumed) and self._running_since is None:
            self._running_since = now
        elif isinstance(event, Paused) and self._running_since is not None:
            self._trained_s += now - self._running_since
            self._running_since = None

    def _elapsed_ms(self, now: float) -> int:
        running_s = 0.0 if self._running_since is None else now - self._running_since
        return round((self._trained_s + running_s) * 1000)
