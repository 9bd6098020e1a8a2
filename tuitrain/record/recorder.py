"""From the loop to the record: batches are gathered and written every tenth of a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import SupportsFloat

from tuitrain.core.events import (
    BatchDone,
    Detail,
    EpochEnded,
    Event,
    Fact,
    Failed,
    LastWord,
    Measured,
    Paused,
    Resumed,
    RunStarted,
)
from tuitrain.core.every import Every
from tuitrain.core.series import Series
from tuitrain.record.shares import shares_of
from tuitrain.store.schema import BatchRow, key_of
from tuitrain.store.writer import MeasuredRow, RunWriter, Stamped

FLUSH_AFTER_S = 0.1
SHARES_EVERY_S = 1.0
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
        self._unread: list[tuple[int, Series, SupportsFloat]] = []
        self._values: list[MeasuredRow] = []
        self._details: list[Detail] = []
        self._events: list[Stamped] = []
        self._last_word: Stamped | None = None
        self._flush_at = clock() + FLUSH_AFTER_S
        self._check_at = 0.0
        self._trained_s = writer.elapsed_ms / 1000
        self.newest_read: BatchDone | None = None
        """The batch up to which all numbers are read."""
        self._nonfinite: list[BatchDone] = []
        self._running_since: float | None = None
        self._microseconds: Callable[..., list[int]] = lambda marks: [0] * (len(marks) - 1)
        self._unshared: list[BatchRow] = []
        """Those whose shares are not recorded yet."""
        self._shares = Every(SHARES_EVERY_S, clock)

    def time_with(self, microseconds: Callable[..., list[int]]) -> None:
        """Use this to make sense of the marks in the batches to come."""
        self._microseconds = microseconds

    def take(self, event: Fact | Event) -> None:
        """Record an event: a batch or an epoch soon, the last word at the close, others at once.

        Values of series and details go with the batches.
        """
        now = self._clock()
        if isinstance(event, BatchDone):
            self._batches.append((now, event))
        elif isinstance(event, Measured):
            self._take_measured(event)
        elif isinstance(event, Detail):
            self._details.append(event)
        else:
            self._take_event(event, now)
        if now >= self._flush_at:
            self.flush()

    def flush_if_due(self) -> None:
        """Write what has waited long enough, having checked that the record is ours to write."""
        if self._clock() >= self._check_at:
            self._check()
            self._check_at = self._clock() + CHECK_AFTER_S
        if self._has_more() and self._clock() >= self._flush_at:
            self.flush()

    def flush(self) -> None:
        """Write all that waits, in one transaction."""
        self._check()
        self._gather()
        if self._unshared and self._shares.is_due():
            self._take_shares()
        self._writer.write(self._rows, self._events, self._values, self._details)
        self._rows, self._events, self._values, self._details = [], [], [], []
        self._flush_at = self._clock() + FLUSH_AFTER_S

    def fail(self, failure: Failed) -> None:
        """Let the failure be the last word, even if the device with the last batches failed."""
        try:
            self.flush()
        except Exception:  # noqa: BLE001 - these steps are lost; a resumption trains them again
            self._batches, self._unread = [], []
        self.take(failure)

    def close(self) -> None:
        """Record what waits and after it the last word; the process ends with it."""
        self._gather()
        self._take_shares()
        self.flush()
        if self._last_word is not None:
            self._writer.write([], [self._last_word])

    def nonfinite_batches(self) -> list[BatchDone]:
        """Return, once, the batches whose numbers were read by now and were not finite."""
        bad, self._nonfinite = self._nonfinite, []
        return bad

    def latest_batch_losses(self, step: int, losses: Mapping[str, float]) -> None:
        """Keep what every loss makes of the newest batch."""
        self._writer.latest_batch_losses(step, losses)

    def _has_more(self) -> bool:
        """Return whether anything waits to be written."""
        waiting = self._batches, self._rows, self._events, self._unread, self._values, self._details
        return any(waiting)

    def _take_measured(self, event: Measured) -> None:
        key = key_of(event.take, event.step)
        for series, value in event.values.items():
            if isinstance(value, int | float):
                self._values.append(MeasuredRow(key, series, float(value)))
            else:
                self._unread.append((key, series, value))

    def _take_shares(self) -> None:
        rows, self._unshared = self._unshared, []
        self._values += [
            MeasuredRow(rows[-1].key, series, share) for series, share in shares_of(rows).items()
        ]

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
        """Make rows of batches and of series, reading all their values at once."""
        if not (self._batches or self._unread):
            return
        from tuitrain.engine.device import read  # torch is there, since it made these batches

        several = [done for _, done in self._batches]
        scalars = [each for done in several for each in (done.loss, done.nonfinite)]
        numbers = read([*scalars, *(value for _, _, value in self._unread)])
        losses, bad = numbers[: len(scalars) : 2], numbers[1 : len(scalars) : 2]
        self._values += [
            MeasuredRow(key, series, value)
            for (key, series, _), value in zip(self._unread, numbers[len(scalars) :], strict=True)
        ]
        self._unread = []
        self._nonfinite += [done for done, is_bad in zip(several, bad, strict=True) if is_bad]
        rows = [
            BatchRow(
                key_of(done.take, done.step), done.epoch, loss, done.lr, done.samples,
                self._elapsed_ms(at), *self._microseconds(done.marks),
            )
            for (at, done), loss in zip(self._batches, losses, strict=True)
        ]  # fmt: skip
        self._rows += rows
        self._unshared += rows
        self.newest_read = several[-1] if several else self.newest_read
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
