"""What the charts of a run are drawn from: its current line, and what it left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple, Protocol, get_args

from tuitrain.core.events import EpochEnded
from tuitrain.store.reader import Best, Judged
from tuitrain.store.rollup import Bucket, level_for
from tuitrain.view import plot, scale
from tuitrain.view.measures import Measure, measures
from tuitrain.view.model import Snapshot, Stretch
from tuitrain.view.picture import Picture

_MOST_LEFT = 12
"""Stretches that are drawn of what was left behind; the newest."""
_MARKS = 2
"""A validation is marked every 2 to 4 cells at most: levels above that of the losses."""
_REMEMBERED = 64
_PARTS: tuple[Judged, ...] = get_args(Judged)


class Source(Protocol):
    """Where losses and epochs are read: a client, or a record itself."""

    def losses(self, take: int, first: int, last: int, level: int) -> list[Bucket]:
        """Return the losses of the steps first..last in buckets of 2^level steps."""
        ...

    def validations(self, take: int, first: int, last: int, level: int) -> list[tuple[int, float]]:
        """Return (step, validation loss) of one epoch at most in each 2^level of these steps."""
        ...

    def epochs(self, take: int, first: int, last: int, level: int) -> list[EpochEnded]:
        """Return one epoch at most in each 2^level of the steps first..last."""
        ...

    def best(
        self, take: int, first: int, last: int, part: Judged, signs: Mapping[str, int]
    ) -> dict[str, Best]:
        """Return the best value of each name among the epochs that ended in first..last."""
        ...


class Judgements(NamedTuple):
    """Epochs as far as a chart shows them."""

    line: tuple[EpochEnded, ...]
    left: tuple[tuple[EpochEnded, ...], ...]
    """Those of each stretch that was left behind."""


class Behind(NamedTuple):
    """Another run that is drawn behind: the parent of a fork, the run that a replay repeats."""

    run: Snapshot
    curves: Curves


def nothing_behind() -> Behind | None:
    """Return what is drawn behind a run that was made from no other."""
    return None


class Curves:
    """Reads a run for its charts. What cannot change any more, it reads once."""

    def __init__(
        self, source: Source, behind: Callable[[], Behind | None] = nothing_behind
    ) -> None:
        """`behind` returns the other run as it is now."""
        self._source = source
        self._behind = behind
        self._ended_segment = lru_cache(_REMEMBERED)(self._segment)
        self._ended_epochs = lru_cache(_REMEMBERED)(self._epochs)
        self._best: dict[tuple[int, int, Judged], tuple[int, dict[str, Best]]] = {}

    def losses(self, run: Snapshot, columns: int) -> list[plot.Segment]:
        """Return the stretches of both, oldest first, in about so many buckets on the line."""
        level = _level(run, columns)
        *ended, newest = run.line_stretches or [None]
        behind, stretches = self._stretches_behind(run)
        return [
            *(behind._ended_segment(each, level, is_left=True) for each in stretches),
            *(self._ended_segment(each, level, is_left=True) for each in _left(run)),
            *(self._ended_segment(each, level, is_left=False) for each in ended if each),
            *([self._segment(newest, level, is_left=False)] if newest else []),
        ]

    def judgements(self, run: Snapshot, points: int) -> Judgements:
        """Return the epochs of both, thinned to about so many on the line."""
        level = _level(run, points)
        *ended, newest = run.line_stretches or [None]
        line = [self._ended_epochs(each, level) for each in ended if each]
        line += [self._epochs(newest, level)] if newest else []
        behind, stretches = self._stretches_behind(run)
        left = [behind._ended_epochs(each, level) for each in stretches]
        left += [self._ended_epochs(each, level) for each in _left(run)]
        return Judgements(tuple(each for several in line for each in several), tuple(left))

    def _stretches_behind(self, run: Snapshot) -> tuple[Curves, list[Stretch]]:
        """Return what is drawn of the run behind, as far as the axis goes, and where to read it."""
        behind = self._behind()
        if behind is None:
            return self, []
        reach = max(_planned(run), run.step)
        stretches = [
            replace(each, last=min(each.last, reach))
            for each in behind.run.line_stretches
            if each.first <= reach
        ]
        return behind.curves, stretches

    def best(self, run: Snapshot) -> dict[str, Best]:
        """Return the best value of each measure on the current line, and its epoch."""
        wanted = measures(run.kind)
        found: dict[str, Best] = {}
        newest = run.last_epoch.step if run.last_epoch else 0
        for span in run.line:
            last = newest if span.last is None else span.last
            for part in _PARTS:
                signs = {each.name: each.sign for each in wanted if each.part == part}
                theirs = self._best_of(span.take, span.first, last, part, signs)
                found = _better(found, theirs, signs)
        return found

    def _best_of(
        self, take: int, first: int, last: int, part: Judged, signs: Mapping[str, int]
    ) -> dict[str, Best]:
        """Read what came since the last time, or all where the line has grown shorter."""
        read, found = self._best.get((take, first, part), (first - 1, {}))
        if last < read:
            read, found = first - 1, {}
        if last > read:
            newer = self._source.best(take, read + 1, last, part, signs)
            read, found = last, _better(found, newer, signs)
        self._best[take, first, part] = read, found
        return found

    def _segment(self, stretch: Stretch, level: int, *, is_left: bool) -> plot.Segment:
        where = stretch.take, stretch.first, stretch.last
        buckets = tuple(self._source.losses(*where, level))
        if is_left:
            return plot.Segment(stretch.loss, *where[1:], buckets, is_left=True)
        validations = tuple(self._source.validations(*where, level + _MARKS))
        return plot.Segment(stretch.loss, *where[1:], buckets, validations)

    def _epochs(self, stretch: Stretch, level: int) -> tuple[EpochEnded, ...]:
        return tuple(self._source.epochs(stretch.take, stretch.first, stretch.last, level))


def _better(
    found: Mapping[str, Best], others: Mapping[str, Best], signs: Mapping[str, int]
) -> dict[str, Best]:
    """Return the better of both for each name; of equal ones the earlier."""
    better = {
        name: other
        for name, other in others.items()
        if name not in found or signs[name] * (other.value - found[name].value) > 0
    }
    return {**found, **better}


def loss_chart(run: Snapshot, curves: Curves, width: int, height: int) -> Picture:
    """Read what a chart of that size shows of the run's losses, and draw it."""
    segments = curves.losses(run, plot.canvas_columns(width))
    return plot.draw_losses(segments, width=width, height=height, options=options_for(run))


def measure_chart(
    run: Snapshot, curves: Curves, measure: Measure, width: int, height: int
) -> Picture:
    """Read what a chart of that size shows of one measure of the run, and draw it."""
    judged = curves.judgements(run, plot.canvas_columns(width))
    return plot.draw_curves(
        curves_of(measure, judged), width=width, height=height, options=options_for(run),
        rulers=rulers(run),
    )  # fmt: skip


def curves_of(measure: Measure, judged: Judgements) -> list[plot.Curve]:
    """Return a measure's curves: what was left behind, then the current line."""
    left = [plot.Curve(tuple(measure.points(each)), "past") for each in judged.left]
    return [*left, plot.Curve(tuple(measure.points(judged.line)))]


def rulers(run: Snapshot) -> list[int]:
    """Return the steps at which another stretch begins, as the loss chart marks them."""
    return [each.first for each in run.line_stretches[1:]]


def last_of_axis(run: Snapshot) -> int:
    """Return the step at which the charts end."""
    return scale.nice_end(_reach(run), _planned(run))


def options_for(run: Snapshot) -> plot.ChartOptions:
    """Return how the run's charts are seen: all of them with the same steps from left to right."""
    return plot.ChartOptions(planned=_planned(run), newest=_reach(run))


def _planned(run: Snapshot) -> int:
    return run.planned_steps or max(1, run.step)


def _reach(run: Snapshot) -> int:
    """Return the last step that was ever trained."""
    return max([run.step, *(each.last for each in run.left_stretches)])


def _level(run: Snapshot, points: int) -> int:
    return level_for(last_of_axis(run), points)


def _left(run: Snapshot) -> tuple[Stretch, ...]:
    return run.left_stretches[-_MOST_LEFT:]
