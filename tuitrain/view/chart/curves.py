"""What the charts of a run are drawn from: its lineage, and its abandoned segments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby, pairwise
from typing import NamedTuple, Protocol, get_args

from tuitrain.core.events import EpochEnded
from tuitrain.core.segment import Segment
from tuitrain.store.reader import Best, EpochPart
from tuitrain.store.rollup import Bucket, level_for
from tuitrain.view.chart import columns, plot, scale
from tuitrain.view.picture import Picture
from tuitrain.view.state.metrics import ComparableMetric, comparable_metrics
from tuitrain.view.state.progress import planned_steps
from tuitrain.view.state.snapshot import Snapshot

_MOST_ABANDONED = 12
"""Segments that are drawn of what was abandoned; the newest."""
_MARKS = 2
"""A validation is marked every 2 to 4 cells at most: levels above that of the losses."""
_REMEMBERED = 64
_PARTS: tuple[EpochPart, ...] = get_args(EpochPart)


class Source(Protocol):
    """Where losses, series and epochs are read: a client, or a record itself."""

    def losses(self, take: int, first: int, last: int, level: int) -> list[Bucket]:
        """Return the losses of the steps first..last in buckets of 2^level steps."""
        ...

    def values(self, name: str, take: int, steps: tuple[int, int], level: int) -> list[Bucket]:
        """Return a series's values in the steps (first, last) in buckets of 2^level steps."""
        ...

    def validations(self, segment: Segment, level: int) -> list[tuple[int, float]]:
        """Return (step, validation loss) of one epoch at most in each 2^level of its steps."""
        ...

    def epochs(self, segment: Segment, level: int) -> list[EpochEnded]:
        """Return one epoch at most in each 2^level of a segment's steps."""
        ...

    def best(self, segment: Segment, part: EpochPart, signs: Mapping[str, int]) -> dict[str, Best]:
        """Return the best value of each name among the epochs that ended in a segment."""
        ...


class Validations(NamedTuple):
    """Epochs as far as a chart shows them."""

    line: tuple[EpochEnded, ...]
    left: tuple[tuple[EpochEnded, ...], ...]
    """Those of each segment that was abandoned."""


class ReferenceRun(NamedTuple):
    """Another run that is drawn behind: the parent of a fork, the run that a replay repeats."""

    run: Snapshot
    curves: Curves


def no_reference_run() -> ReferenceRun | None:
    """Return what is drawn behind a run that was made from no other."""
    return None


class Curves:
    """Reads a run for its charts. Segments that cannot change are read once."""

    def __init__(
        self, source: Source, behind: Callable[[], ReferenceRun | None] = no_reference_run
    ) -> None:
        """`behind` returns the other run as it is now."""
        self._source = source
        self._behind = behind
        self._ended_series = lru_cache(_REMEMBERED)(self._series)
        self._ended_epochs = lru_cache(_REMEMBERED)(self._epochs)
        self._ended_points = lru_cache(_REMEMBERED)(self._points)
        self._best: dict[tuple[int, int, int, EpochPart], tuple[int, dict[str, Best]]] = {}

    def losses(self, run: Snapshot, columns: int) -> list[plot.Segment]:
        """Return what was abandoned, then the lineage, in about so many buckets on the latter.

        Takes that follow each other with the same loss are one: nothing was swapped between them.
        """
        level = _level(run, columns)
        *ended, newest = run.segments or [None]
        behind, parents = self._reference_segments(run)
        line = [self._ended_series(segment, level) for segment in ended if segment]
        line += [self._series(newest, level)] if newest else []
        abandoned = [
            *(behind._ended_series(segment, level) for segment in parents),
            *(self._ended_series(segment, level) for segment in _abandoned(run)),
        ]
        return [*(segment._replace(validations=(), is_abandoned=True) for segment in abandoned),
                *_joined(line)]  # fmt: skip

    def validations(self, run: Snapshot, points: int) -> Validations:
        """Return the epochs of both, thinned to about so many on the lineage."""
        level = _level(run, points)
        *ended, newest = run.segments or [None]
        line = [self._ended_epochs(each, level) for each in ended if each]
        line += [self._epochs(newest, level)] if newest else []
        behind, parents = self._reference_segments(run)
        left = [behind._ended_epochs(each, level) for each in parents]
        left += [self._ended_epochs(each, level) for each in _abandoned(run)]
        return Validations(tuple(each for several in line for each in several), tuple(left))

    def series(self, run: Snapshot, name: str, columns: int) -> list[plot.Curve]:
        """Return a series's curves: what was abandoned, then the lineage."""
        level = _level(run, columns)
        *ended, newest = run.segments or [None]
        behind, parents = self._reference_segments(run)
        abandoned = [behind._ended_points(segment, name, level) for segment in parents]
        abandoned += [self._ended_points(segment, name, level) for segment in _abandoned(run)]
        line = [self._ended_points(segment, name, level) for segment in ended if segment]
        line += [self._points(newest, name, level)] if newest else []
        whole = tuple(point for points in line for point in points)
        return [*(plot.Curve(points, "past") for points in abandoned), plot.Curve(whole)]

    def best(self, run: Snapshot) -> dict[str, Best]:
        """Return the best value of each measure on the lineage, and its epoch."""
        wanted = comparable_metrics(run.problem)
        best: dict[str, Best] = {}
        for segment in run.segments:
            for part in _PARTS:
                signs = {metric.name: metric.sign for metric in wanted if metric.part == part}
                best = _better(best, self._best_of(segment, part, signs), signs)
        return best

    def drawn_behind(self, run: Snapshot) -> str:
        """Return in words what the charts of a run have in dashes; empty where that is nothing."""
        _, parents = self._reference_segments(run)
        left = ["left behind by an undo, a rollback or a crash"] if _abandoned(run) else []
        return " and ".join([*left, *(["the run that it was made from"] if parents else [])])

    def _reference_segments(self, run: Snapshot) -> tuple[Curves, list[Segment]]:
        """Return what is drawn of the run behind, as far as the axis goes, and where to read it."""
        reference = self._behind()
        if reference is None:
            return self, []
        reach = max(_planned(run), run.step)
        segments = [
            segment._replace(last=min(segment.last, reach))
            for segment in reference.run.segments
            if segment.first <= reach
        ]
        return reference.curves, segments

    def _best_of(
        self, segment: Segment, part: EpochPart, signs: Mapping[str, int]
    ) -> dict[str, Best]:
        """Read what came since the last time, or all where the segment has grown shorter."""
        where = segment.take, segment.first, segment.after_epoch, part
        read, best = self._best.get(where, (segment.after_epoch, {}))
        if segment.last_epoch < read:
            read, best = segment.after_epoch, {}
        if segment.last_epoch > read:
            newer = self._source.best(segment._replace(after_epoch=read), part, signs)
            read, best = segment.last_epoch, _better(best, newer, signs)
        self._best[where] = read, best
        return best

    def _series(self, segment: Segment, level: int) -> plot.Segment:
        where = segment.first, segment.last
        buckets = self._source.losses(segment.take, *where, level) if segment.steps else []
        validations = self._source.validations(segment, level + _MARKS)
        takes = ((segment.first, segment.take),)
        return plot.Segment(segment.loss, *where, tuple(buckets), tuple(validations), takes=takes)

    def _points(self, segment: Segment, name: str, level: int) -> tuple[tuple[int, float], ...]:
        where = segment.first, segment.last
        buckets = self._source.values(name, segment.take, where, level) if segment.steps else []
        return tuple(point for bucket in buckets for point in columns.ends(bucket))

    def _epochs(self, segment: Segment, level: int) -> tuple[EpochEnded, ...]:
        return tuple(self._source.epochs(segment, level))


def _joined(line: Iterable[plot.Segment]) -> list[plot.Segment]:
    """Return a lineage's segments with neighbours of one loss joined."""
    return [
        _one(list(neighbours))
        for _, neighbours in groupby(line, key=lambda segment: segment.loss_name)
    ]


def _one(neighbours: Sequence[plot.Segment]) -> plot.Segment:
    return neighbours[0]._replace(
        last=neighbours[-1].last,
        buckets=tuple(bucket for segment in neighbours for bucket in segment.buckets),
        validations=tuple(point for segment in neighbours for point in segment.validations),
        takes=tuple(mark for segment in neighbours for mark in segment.takes),
    )


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


def metric_chart(
    run: Snapshot, curves: Curves, measure: ComparableMetric, width: int, height: int
) -> Picture:
    """Read what a chart of that size shows of one measure of the run, and draw it."""
    judged = curves.validations(run, plot.canvas_columns(width))
    return plot.draw_curves(
        curves_of(measure, judged), width=width, height=height, options=options_for(run),
        rulers=rulers(run),
    )  # fmt: skip


def series_chart(run: Snapshot, curves: Curves, name: str, width: int, height: int) -> Picture:
    """Read what a chart of that size shows of one series of the run, and draw it."""
    return plot.draw_curves(
        curves.series(run, name, plot.canvas_columns(width)), width=width, height=height,
        options=options_for(run), rulers=rulers(run),
    )  # fmt: skip


def curves_of(measure: ComparableMetric, judged: Validations) -> list[plot.Curve]:
    """Return a measure's curves: what was abandoned, then the lineage."""
    abandoned = [plot.Curve(tuple(measure.points(epochs)), "past") for epochs in judged.left]
    return [*abandoned, plot.Curve(tuple(measure.points(judged.line)))]


def rulers(run: Snapshot) -> list[int]:
    """Return the steps from which another loss was used, as the loss chart marks them."""
    return [after.first for before, after in pairwise(run.segments) if after.loss != before.loss]


def last_of_axis(run: Snapshot) -> int:
    """Return the step at which the charts end."""
    return scale.nice_end(_reach(run), _planned(run))


def options_for(run: Snapshot) -> plot.ChartOptions:
    """Return how the run's charts are seen: all of them with the same steps from left to right."""
    return plot.ChartOptions(planned=_planned(run), newest=_reach(run))


def _planned(run: Snapshot) -> int:
    return planned_steps(run) or max(1, run.step)


def _reach(run: Snapshot) -> int:
    """Return the last step that was ever trained."""
    return max([run.step, *(segment.last for segment in run.lineage.abandoned)])


def _level(run: Snapshot, points: int) -> int:
    return level_for(last_of_axis(run), points)


def _abandoned(run: Snapshot) -> tuple[Segment, ...]:
    return run.lineage.abandoned[-_MOST_ABANDONED:]
