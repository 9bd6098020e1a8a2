"""The current line of a run, read from its record in pages: a long one does not fit in memory."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

from tuitrain.core.commands import SwapLoss
from tuitrain.core.errors import Refused
from tuitrain.core.events import (
    CheckpointGone,
    CheckpointSaved,
    EpochEnded,
    Event,
    RunStarted,
    TakeOpened,
)
from tuitrain.core.history import Span, newest_take, spans
from tuitrain.core.plan import Planned, plan_of
from tuitrain.core.spec import RunSpec
from tuitrain.store.paths import RunPaths
from tuitrain.store.reader import Cursor, Recorded, RecordedEpoch, RunReader
from tuitrain.store.schema import BatchRow

_PAGE = 10_000
_Row = TypeVar("_Row")


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


@dataclass(frozen=True)
class Line:
    """What led a run to its present weights, as far as the record went when it was read."""

    paths: RunPaths
    spec: RunSpec
    recorded: tuple[Recorded, ...]
    spans: tuple[Span, ...]

    @classmethod
    def read(cls, paths: RunPaths) -> Line:
        """Return the line of a run; Refused if it never came as far as its first batch."""
        delta = RunReader(paths.record).since(Cursor())
        if not any(isinstance(each.event, RunStarted) for each in delta.events):
            raise Refused(f"{paths.name} has trained nothing yet: there is nothing to export")
        openings = [each.event for each in delta.events if isinstance(each.event, TakeOpened)]
        take = newest_take(openings)
        *before, newest = spans(openings, take)
        latest = delta.latest
        end = latest.step if latest and latest.take == take else newest.first - 1
        spec = RunSpec.from_json(paths.spec.read_text())
        return cls(paths, spec, delta.events, (*before, newest._replace(last=end)))

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
        return plan_of(self.events)

    @property
    def checkpoints(self) -> list[CheckpointSaved]:
        """Those of the line that are kept, oldest first."""
        gone = {each.file for each in self.events if isinstance(each, CheckpointGone)}
        last = {span.take: span.last or 0 for span in self.spans}
        return [
            each
            for each in self.events
            if isinstance(each, CheckpointSaved)
            and each.file not in gone
            and each.step <= last.get(each.take, -1)
        ]

    @property
    def best(self) -> EpochEnded | None:
        """The last epoch whose leading metric was better than in any before it."""
        found = None
        for epoch in self.epochs():
            found = epoch.ended if epoch.ended.improved else found
        return found

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of the line in the order of their steps."""
        reader, names = RunReader(self.paths.record), _LossNames(self)
        for span in self.spans:
            clock = _Clock(self, span.take)
            for row in _paged(reader.batches_in, span, attrgetter("step")):
                at = clock.at(row.step, row.elapsed_ms / 1000)
                yield Batch(row, names.at(row.step), at)

    def epochs(self) -> Iterator[Epoch]:
        """Yield the epochs of the line in their order.

        One that a take begins with ended at the step at which the take was opened: its batches are
        the older take's, its validation is its own.
        """
        reader = RunReader(self.paths.record)
        opened = {each.take: each.epoch for each in self.events if isinstance(each, TakeOpened)}
        left_at = [opened[span.take] for span in self.spans[1:]]
        for span, left in zip(self.spans, [*left_at, None], strict=True):
            clock, done = _Clock(self, span.take), opened.get(span.take, -1)
            whole = span._replace(first=max(0, span.first - 1))
            for each in _paged(reader.epochs_in, whole, _step_of):
                ended, elapsed_s = each.ended, each.elapsed_s
                if done < ended.epoch and (left is None or ended.epoch <= left):
                    yield Epoch(ended, elapsed_s, clock.at(ended.step, elapsed_s))


class _LossNames:
    """Which loss a step of the line was trained with."""

    def __init__(self, line: Line) -> None:
        swaps = [each for each in line.plan if isinstance(each.wish, SwapLoss)]
        self._steps = [each.step for each in swaps]
        self._names = [
            str(line.started.settings["loss"]), *(each.wish.detail for each in swaps)
        ]  # fmt: skip

    def at(self, step: int) -> str:
        return self._names[bisect_left(self._steps, step)]


class _Clock:
    """What the wall's clock showed at a step of a take.

    The record has that for events only, and for batches how long the run was trained until then:
    the event before a batch tells both.
    """

    def __init__(self, line: Line, take: int) -> None:
        self._known: list[tuple[int, float]] = []
        where, step = 1, 0
        for each in line.recorded:
            where, step = getattr(each.event, "take", where), getattr(each.event, "step", step)
            if where == take:
                self._known.append((step, each.at - each.elapsed_s))

    def at(self, step: int, elapsed_s: float) -> float:
        before = bisect_left(self._known, (step, 0.0)) - 1
        return self._known[max(0, before)][1] + elapsed_s


def _step_of(epoch: RecordedEpoch) -> int:
    return epoch.ended.step


def _paged(
    read: Callable[[int, int, int, int], list[_Row]], span: Span, step_of: Callable[[_Row], Any]
) -> Iterator[_Row]:
    first, last = span.first, span.last or 0
    while page := read(span.take, first, last, _PAGE):
        yield from page
        first = step_of(page[-1]) + 1
