"""The current line of a run, read from its record in pages: a long one does not fit in memory."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
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
from tuitrain.history.checkpoints import best_kept
from tuitrain.history.lineage import Lineage
from tuitrain.history.plan import plan_of
from tuitrain.store.paths import RunPaths
from tuitrain.store.reader import Cursor, Recorded, RecordedEpoch, RunReader
from tuitrain.store.schema import BatchRow
from tuitrain.store.series import Value

_PAGE = 10_000


class Batch(NamedTuple):
    """A batch as the record has it, the loss that it was trained with, and when it was done."""

    row: BatchRow
    loss_name: str
    at: float
    """Seconds since the epoch."""


class Epoch(NamedTuple):
    """An epoch as the record has it, and when it ended."""

    ended: EpochEnded
    elapsed_s: float
    at: float


class Measured(NamedTuple):
    """A value of a series as the record has it, and when that step was trained."""

    series: Series
    take: int
    step: int
    value: float
    at: float


@dataclass(frozen=True)
class RunLineage:
    """What led a run to its present weights, as far as the record went when it was read."""

    paths: RunPaths
    spec: RunSpec
    recorded: tuple[Recorded, ...]
    lineage: Lineage
    last: int
    """The newest step on record."""

    @classmethod
    def read(cls, paths: RunPaths) -> RunLineage:
        """Return the line of a run; Refused if it never came as far as its first batch."""
        delta = RunReader(paths.record).since(Cursor())
        if not any(isinstance(each.event, RunStarted) for each in delta.events):
            raise Refused(f"{paths.name} has trained nothing yet: there is nothing to export")
        spec = paths.read_spec()
        lineage = Lineage.of(spec, (each.event for each in delta.events))
        newest, latest = lineage.segments()[-1], delta.latest
        end = latest.step if latest and latest.take == newest.take else newest.first - 1
        return cls(paths, spec, delta.events, lineage, end)

    @cached_property
    def events(self) -> Sequence[Event]:
        """All events of the run but the ends of epochs, in order."""
        return [each.event for each in self.recorded]

    @property
    def started(self) -> RunStarted:
        """What was known when the run began."""
        return next(each for each in self.events if isinstance(each, RunStarted))

    @cached_property
    def plan(self) -> list[Planned]:
        """The changes on the line, each at its place."""
        return plan_of(self.lineage)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """What was trained with which loss, oldest first."""
        return self.lineage.segments(step=self.last)

    @property
    def checkpoints(self) -> Sequence[CheckpointSaved]:
        """Those of the line that are kept, oldest first."""
        return self.lineage.checkpoints

    @property
    def best(self) -> EpochEnded | None:
        """The last epoch whose leading metric was better than in any before it."""
        found = None
        for epoch in self.epochs():
            found = epoch.ended if epoch.ended.improved else found
        return found

    @property
    def best_checkpoint(self) -> tuple[CheckpointSaved | None, str]:
        """The checkpoint of the best epoch that has one, and in words which that is.

        While a run trains, and after a crash, a better epoch may not be saved yet.
        """
        best, saved = self.best, best_kept(self.lineage)
        if saved is None or best is None or saved.epoch == best.epoch:
            return saved, "the best"
        return saved, f"the best of those with a checkpoint: epoch {best.epoch} was better"

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of the line in the order of their steps."""
        reader = RunReader(self.paths.record)
        for take, segments in groupby(self.segments, key=lambda segment: segment.take):
            clock = _Clock(self, take)
            for segment in segments:
                for row in _batches(reader, segment):
                    yield Batch(row, segment.loss, clock.at(row.step, row.elapsed_ms / 1000))

    def epochs(self) -> Iterator[Epoch]:
        """Yield the epochs of the line in their order."""
        reader = RunReader(self.paths.record)
        for take, segments in groupby(self.segments, key=lambda segment: segment.take):
            clock = _Clock(self, take)
            for segment in segments:
                for elapsed_s, ended in _epochs(reader, segment):
                    yield Epoch(ended, elapsed_s, clock.at(ended.step, elapsed_s))

    def measured(self) -> Iterator[Measured]:
        """Yield the values of all series on the line, in the order of their steps."""
        known = RunReader(self.paths.record).series()
        return merge(*map(self._values_of, known), key=lambda each: each.step)

    def _values_of(self, series: Series) -> Iterator[Measured]:
        reader = RunReader(self.paths.record)
        for take, segments in groupby(self.segments, key=lambda segment: segment.take):
            clock = _Clock(self, take)
            for segment in segments:
                for value in _values(reader, series, segment):
                    at = clock.at(value.step, value.elapsed_ms / 1000)
                    yield Measured(series, take, value.step, value.value, at)


class _Clock:
    """What the wall's clock showed at a step of a take.

    The record has that for events only, and for batches how long the run was trained until then:
    the event before a batch tells both.
    """

    def __init__(self, line: RunLineage, take: int) -> None:
        self._known: list[tuple[int, float]] = []
        where, step = 1, 0
        for each in line.recorded:
            where, step = getattr(each.event, "take", where), getattr(each.event, "step", step)
            if where == take:
                self._known.append((step, each.at - each.elapsed_s))

    def at(self, step: int, elapsed_s: float) -> float:
        before = bisect_left(self._known, (step, 0.0)) - 1
        return self._known[max(0, before)][1] + elapsed_s


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
