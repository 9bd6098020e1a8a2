"""The lineage of a run, read from its record in pages, since a long one does not fit in memory."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import merge
from itertools import groupby
from typing import NamedTuple

from tuitrain.core.errors import Refused
from tuitrain.core.events import CheckpointSaved, EpochEnded, Event, RunStarted
from tuitrain.core.plan import Planned
from tuitrain.core.segment import Segment
from tuitrain.core.series import Series
from tuitrain.core.spec import RunSpec
from tuitrain.history.checkpoints import at_epoch, best_kept
from tuitrain.history.lineage import Lineage
from tuitrain.history.plan import plan_of
from tuitrain.store.delta import Cursor, Recorded
from tuitrain.store.epochs import RecordedEpoch
from tuitrain.store.paths import RunPaths
from tuitrain.store.reader import RunReader
from tuitrain.store.schema import BatchRow
from tuitrain.store.series import Value

_PAGE = 10_000


class Batch(NamedTuple):
    """A recorded batch, the loss that it was trained with, and when it ended."""

    row: BatchRow
    loss_name: str
    at: float
    """Unix time in seconds."""


class Epoch(NamedTuple):
    """A recorded epoch, and when it ended."""

    ended: EpochEnded
    elapsed_s: float
    at: float


class Measured(NamedTuple):
    """A recorded value of a series, and when its step was trained."""

    series: Series
    take: int
    step: int
    value: float
    at: float


@dataclass(frozen=True)
class RunLineage:
    """The lineage of a run with its batches, epochs and series, as of the time it was read."""

    paths: RunPaths
    spec: RunSpec
    recorded: tuple[Recorded, ...]
    lineage: Lineage
    last: int
    """The newest recorded step of the lineage."""
    best: EpochEnded | None
    """The last epoch with a better leading metric than all before it."""

    @classmethod
    def read(cls, paths: RunPaths) -> RunLineage:
        """Return the lineage of a run; Refused if training never started."""
        spec = paths.read_spec()

        def segments_after(events: Iterable[Recorded]) -> Sequence[Segment]:
            return Lineage.of(spec, (recorded.event for recorded in events)).segments()

        delta = RunReader(paths.record).since(Cursor(), segments_after)
        lineage = Lineage.of(spec, (recorded.event for recorded in delta.events))
        if lineage.first_start is None:
            raise Refused(f"{paths.name} has trained nothing yet: there is nothing to export")
        newest, latest = lineage.segments()[-1], delta.latest
        end = latest.step if latest and latest.take == newest.take else newest.first - 1
        return cls(paths, spec, delta.events, lineage, end, delta.best)

    @cached_property
    def events(self) -> Sequence[Event]:
        """All events of the run except the ends of epochs, in order."""
        return [recorded.event for recorded in self.recorded]

    @property
    def started(self) -> RunStarted:
        """The first RunStarted event, with the initial settings."""
        assert self.lineage.first_start is not None
        return self.lineage.first_start

    @cached_property
    def plan(self) -> list[Planned]:
        """The changes on the lineage with their steps, in order."""
        return plan_of(self.lineage)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments of the lineage, each trained with one loss, oldest first."""
        return self.lineage.segments(step=self.last)

    @property
    def checkpoints(self) -> Sequence[CheckpointSaved]:
        """The kept checkpoints of the lineage, oldest first."""
        return self.lineage.checkpoints

    @property
    def best_checkpoint(self) -> tuple[CheckpointSaved | None, str]:
        """The checkpoint of the best epoch that has one, and a description of it.

        While a run trains, and after a crash, the best epoch may not have a checkpoint.
        """
        best, saved = self.best, best_kept(self.lineage)
        if saved is None and best is not None:  # a watched script saves none as the best
            saved = at_epoch(self.checkpoints, self.lineage, best.epoch)
        if saved is None or best is None or saved.epoch == best.epoch:
            return saved, "the best"
        return saved, f"the best of those with a checkpoint: epoch {best.epoch:,} was better"

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of the lineage, in order of steps."""
        reader = RunReader(self.paths.record)
        for take, segments in groupby(self.segments, key=lambda segment: segment.take):
            clock = _Clock(self, take)
            for segment in segments:
                for row in _batches(reader, segment):
                    yield Batch(row, segment.loss, clock.at(row.step, row.elapsed_ms / 1000))

    def epochs(self) -> Iterator[Epoch]:
        """Yield the epochs of the lineage, in order."""
        reader = RunReader(self.paths.record)
        for take, segments in groupby(self.segments, key=lambda segment: segment.take):
            clock = _Clock(self, take)
            for segment in segments:
                for elapsed_s, ended in _epochs(reader, segment):
                    yield Epoch(ended, elapsed_s, clock.at(ended.step, elapsed_s))

    def measured(self) -> Iterator[Measured]:
        """Yield the values of all series on the lineage, in order of steps."""
        all_series = RunReader(self.paths.record).series()
        return merge(*map(self._values_of, all_series), key=lambda measured: measured.step)

    def _values_of(self, series: Series) -> Iterator[Measured]:
        reader = RunReader(self.paths.record)
        for take, segments in groupby(self.segments, key=lambda segment: segment.take):
            clock = _Clock(self, take)
            for segment in segments:
                for value in _values(reader, series, segment):
                    at = clock.at(value.step, value.elapsed_ms / 1000)
                    yield Measured(series, take, value.step, value.value, at)


class _Clock:
    """Maps the steps of a take to Unix time.

    The record has the Unix time of events, but only the training time of batches. The event before
    a batch has both, and gives the difference.
    """

    def __init__(self, lineage: RunLineage, take: int) -> None:
        self._offsets: list[tuple[int, float]] = []
        event_take, step = 1, 0
        for recorded in lineage.recorded:
            event_take = getattr(recorded.event, "take", event_take)
            step = getattr(recorded.event, "step", step)
            if event_take == take:
                self._offsets.append((step, recorded.at - recorded.elapsed_s))

    def at(self, step: int, elapsed_s: float) -> float:
        before = bisect_left(self._offsets, (step, 0.0)) - 1
        return self._offsets[max(0, before)][1] + elapsed_s


def _batches(reader: RunReader, segment: Segment) -> Iterator[BatchRow]:
    first = segment.first
    while page := reader.batches_in(segment.take, first, segment.last, _PAGE):
        yield from page
        first = page[-1].step + 1


def _epochs(reader: RunReader, segment: Segment) -> Iterator[RecordedEpoch]:
    while page := reader.epochs_in(segment, _PAGE):
        yield from page
        segment = segment._replace(after_epoch=page[-1].ended.epoch)


def _values(reader: RunReader, series: Series, segment: Segment) -> Iterator[Value]:
    first = segment.first
    while page := reader.measured(series, segment.take, (first, segment.last), _PAGE):
        yield from page
        first = page[-1].step + 1
