"""Recording of the events of the loop: batches are collected and written ten times a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from typing import Any, NamedTuple, SupportsFloat

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
from tuitrain.record.contents import Contents
from tuitrain.record.shares import shares_of
from tuitrain.store.schema import BatchRow, key_of
from tuitrain.store.writer import MeasuredRow, RunWriter, Stamped

FLUSH_AFTER_S = 0.1
SHARES_EVERY_S = 1.0
MOST_WAITING = 10_000
"""Batches that wait at most while another thread writes: then the loop waits, too."""
CHECK_AFTER_S = 1.0
"""Time between two checks while nothing is written: in a pause or at a slow pace."""

TimedBatch = tuple[
    float, int, int, int, SupportsFloat, SupportsFloat, int, Sequence[Any], SupportsFloat
]
"""The time of a batch, and the fields of its `BatchDone`: a plain tuple, since a fast loop makes
thousands a second."""


class _Writing(NamedTuple):
    """A write that may still be going on in another thread."""

    contents: Contents
    future: Future[None]


class Recorder:
    """Add the time to events and pass them to the writer of the run.

    With an executor, batches are written by another thread while the loop goes on, one write at a
    time. What a caller waits for, such as the answer to a command, is on record when `take`
    returns. An error of the other thread is raised by a later call, and loses nothing.
    """

    def __init__(
        self,
        writer: RunWriter,
        clock: Callable[[], float] = time.monotonic,
        *,
        check: Callable[[], None] = lambda: None,
        executor: Executor | None = None,
    ) -> None:
        """`check` is called before each write and once a second; it raises if files are lost.

        `executor` writes batches; without it, `take` does.
        """
        self._writer = writer
        self._executor = executor
        self._writing: _Writing | None = None
        self._clock = clock
        self._check = check
        self.batches: list[TimedBatch] = []
        """Batches that wait for the next flush; it stays the same list. A loop for which a call of
        `take` takes too long adds them itself, and calls `flush_if_due`."""
        self._unread: list[tuple[int, Series, SupportsFloat]] = []
        self._waiting = Contents()
        self._is_awaited = False
        """Whether something waits that must be on record at once."""
        self._last_word: Stamped | None = None
        self._flush_at = clock() + FLUSH_AFTER_S
        self._check_at = 0.0
        self._trained_s = writer.elapsed_ms / 1000
        self.newest_read: BatchDone | None = None
        """The newest batch whose numbers were read from the device, until it is taken."""
        self.has_started = False
        """Whether this trainer came as far as its first batch."""
        self._nonfinite: list[BatchDone] = []
        self.read_rows: Callable[[list[BatchRow]], None] = lambda _rows: None
        """Is called with the rows of batches once their numbers are read."""
        self._running_since: float | None = None
        self._microseconds: Callable[..., list[int]] = lambda marks: [0] * (len(marks) - 1)
        self._rows_without_shares: list[BatchRow] = []
        """Rows since the last recorded shares of the parts of a step."""
        self._shares = Every(SHARES_EVERY_S, clock)

    def time_with(self, microseconds: Callable[..., list[int]]) -> None:
        """Use `microseconds` to turn the marks of later batches into durations."""
        self._microseconds = microseconds

    def take(self, event: Fact | Event) -> None:
        """Record an event: batches, series and details with the next flush, most others at once.

        An epoch waits for the next flush as well, and the last word for `close`.
        """
        now = self._clock()
        if isinstance(event, BatchDone):
            self.batches.append((now, *event))
        elif isinstance(event, Measured):
            self._take_measured(event)
        elif isinstance(event, Detail):
            self._waiting.details.append(event)
        else:
            self._take_event(event, now)
        if now >= self._flush_at:
            self._flush_or_begin()

    def flush_if_due(self) -> None:
        """Write events that have waited long enough; check the files even if there are none."""
        if self._clock() >= self._check_at:
            self._check()
            self._check_at = self._clock() + CHECK_AFTER_S
        if self._has_more() and self._clock() >= self._flush_at:
            self.flush()

    def flush(self) -> None:
        """Write everything that waits, in one transaction."""
        self._check()
        self._end_writing()
        contents = self._taken()
        try:
            contents.write(self._writer)
        except BaseException:
            self._waiting = contents
            raise

    def _flush_or_begin(self) -> None:
        """Write everything that waits; let the executor do it if no answer depends on it."""
        if self._executor is None or self._is_awaited:
            self.flush()
        elif self._writing is None or self._writing.future.done() or self._is_full:
            self._check()
            self._end_writing()
            contents = self._taken()
            future = self._executor.submit(contents.write, self._writer)
            self._writing = _Writing(contents, future)

    @property
    def _is_full(self) -> bool:
        return len(self.batches) >= MOST_WAITING

    def _end_writing(self) -> None:
        """Wait for the write that is going on; if it failed, raise, and keep what it had."""
        writing, self._writing = self._writing, None
        if writing is not None:
            try:
                writing.future.result()
            except BaseException:
                self._waiting = writing.contents.before(self._waiting)
                raise

    def _taken(self) -> Contents:
        """Return everything that waits, as rows, and begin to collect anew."""
        self.gather()
        if self._rows_without_shares and self._shares.is_due():
            self._take_shares()
        contents, self._waiting = self._waiting, Contents()
        self._flush_at = self._clock() + FLUSH_AFTER_S
        self._is_awaited = False
        return contents

    def gather(self) -> None:
        """Turn batches and series into rows; read all their numbers in one transfer."""
        if not (self.batches or self._unread):
            return
        from tuitrain.engine.device import read  # torch is loaded: it produced these numbers

        batches = self.batches
        scalars = [scalar for batch in batches for scalar in (batch[4], batch[5], batch[8])]
        numbers = read([*scalars, *(value for _, _, value in self._unread)])
        losses, rates, nonfinite = (numbers[part : len(scalars) : 3] for part in range(3))
        self._waiting.values += [
            MeasuredRow(key, series, value)
            for (key, series, _), value in zip(self._unread, numbers[len(scalars) :], strict=True)
        ]
        self._unread = []
        self._nonfinite += [
            BatchDone(*batch[1:])
            for batch, is_nonfinite in zip(batches, nonfinite, strict=True)
            if is_nonfinite
        ]
        if batches:
            self._add_rows(batches, losses, rates)
        self.batches.clear()

    def fail(self, failure: Failed) -> None:
        """Make the failure the last word, even if the device with the last batches failed."""
        try:
            self.flush()
        except Exception:  # noqa: BLE001 - these steps are lost; a resume repeats them
            self.batches.clear()
            self._unread.clear()
        self.take(failure)

    def close(self) -> None:
        """Write everything that waits and then the last word, after which the process ends."""
        self.gather()
        self._take_shares()
        self.flush()
        if self._last_word is not None:
            self._writer.write([], [self._last_word])

    def nonfinite_batches(self) -> list[BatchDone]:
        """Return the batches read since the last call that had nonfinite numbers."""
        nonfinite, self._nonfinite = self._nonfinite, []
        return nonfinite

    def latest_batch_losses(self, take: int, step: int, losses: Mapping[str, float]) -> None:
        """Store the loss of the newest batch by every loss function, with the next flush."""
        self._waiting.latest = take, step, losses

    def _has_more(self) -> bool:
        """Return whether anything waits to be written."""
        return bool(self.batches or self._unread or self._waiting)

    def _take_measured(self, event: Measured) -> None:
        key = key_of(event.take, event.step)
        for series, value in event.values.items():
            if isinstance(value, int | float):
                self._waiting.values.append(MeasuredRow(key, series, float(value)))
            else:
                self._unread.append((key, series, value))

    def _take_shares(self) -> None:
        rows, self._rows_without_shares = self._rows_without_shares, []
        self._waiting.values += [
            MeasuredRow(rows[-1].key, series, share) for series, share in shares_of(rows).items()
        ]

    def _take_event(self, event: Event, now: float) -> None:
        if not isinstance(event, EpochEnded):
            self.gather()  # before `_keep_time` changes the time of these batches
            self._keep_time(event, now)
            self._flush_at, self._is_awaited = now, True
        stamped = Stamped(time.time(), self._elapsed_ms(now), event)
        if isinstance(event, LastWord):
            self._last_word = stamped
        else:
            self._waiting.events.append(stamped)

    def _add_rows(
        self, batches: Sequence[TimedBatch], losses: Iterable[float], rates: Iterable[float]
    ) -> None:
        microseconds, trained_s, since = self._microseconds, self._trained_s, self._running_since
        rows = [
            tuple.__new__(BatchRow, (  # half the time of BatchRow(...)
                key_of(take, step), epoch, loss, lr, samples,
                round((trained_s + (0.0 if since is None else at - since)) * 1000),
                *microseconds(marks),
            ))
            for (at, take, step, epoch, _, _, samples, marks, _), loss, lr
            in zip(batches, losses, rates, strict=True)
        ]  # fmt: skip
        self.read_rows(rows)
        self._waiting.rows += rows
        self._rows_without_shares += rows
        self.newest_read = BatchDone(*batches[-1][1:])

    def _keep_time(self, event: Event, now: float) -> None:
        self.has_started |= isinstance(event, RunStarted)
        if isinstance(event, RunStarted | Resumed) and self._running_since is None:
            self._running_since = now
        elif isinstance(event, Paused) and self._running_since is not None:
            self._trained_s += now - self._running_since
            self._running_since = None

    def _elapsed_ms(self, now: float) -> int:
        running_s = 0.0 if self._running_since is None else now - self._running_since
        return round((self._trained_s + running_s) * 1000)
