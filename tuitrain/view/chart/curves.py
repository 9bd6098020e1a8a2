"""Read the lineage and the abandoned segments of a run, for its charts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby, pairwise
from typing import NamedTuple, Protocol, get_args

from tuitrain.core.events import EpochEnded
from tuitrain.core.segment import Segment
from tuitrain.store.epochs import Best, EpochPart
from tuitrain.store.rollup import Bucket, level_for
from tuitrain.view.chart import columns, plot, scale
from tuitrain.view.picture import Picture
from tuitrain.view.state.metrics import ComparableMetric, metrics_of
from tuitrain.view.state.progress import planned_steps
from tuitrain.view.state.snapshot import Snapshot

_MOST_ABANDONED = 12
"""Most abandoned segments that are drawn, the newest."""
_MARKS = 2
"""Levels above that of the losses, so that a validation is marked every 2 to 4 cells at most."""
_REMEMBERED = 64
_PARTS: tuple[EpochPart, ...] = get_args(EpochPart)


class Source(Protocol):
    """A reader of losses, series and epochs: a client or a record."""

    def losses(self, take: int, first: int, last: int, level: int) -> list[Bucket]:
        """Return the losses of the steps first..last, in buckets of 2^level steps."""
        ...

    def values(self, name: str, take: int, steps: tuple[int, int], level: int) -> list[Bucket]:
        """Return the values of a series in the steps (first, last), in buckets of 2^level steps."""
        ...

    def validations(self, segment: Segment, level: int) -> list[tuple[int, float]]:
        """Return (step, validation loss) of at most one epoch per 2^level steps."""
        ...

    def epochs(self, segment: Segment, level: int) -> list[EpochEnded]:
        """Return at most one epoch per 2^level steps of the segment."""
        ...

    def best(self, segment: Segment, part: EpochPart, signs: Mapping[str, int]) -> dict[str, Best]:
        """Return the best value of each name among the epochs that ended in the segment."""
        ...


class Validations(NamedTuple):
    """The epochs that a chart shows."""

    lineage: tuple[EpochEnded, ...]
    abandoned: tuple[tuple[EpochEnded, ...], ...]
    """Those of each abandoned segment."""


class ReferenceRun(NamedTuple):
    """A run whose curves are drawn behind: the parent of a fork, or the run a replay repeats."""

    run: Snapshot
    curves: Curves


def no_reference_run() -> ReferenceRun | None:
    """Return None: a run without a parent has no reference run."""
    return None


class Curves:
    """Reads a run for its charts. Segments that cannot change are cached."""

    def __init__(
        self, source: Source, reference: Callable[[], ReferenceRun | None] = no_reference_run
    ) -> None:
        """`reference` returns the reference run as last read."""
        self._source = source
        self._reference = reference
        self._ended_series = lru_cache(_REMEMBERED)(self._series)
        self._ended_epochs = lru_cache(_REMEMBERED)(self._epochs)
        self._ended_points = lru_cache(_REMEMBERED)(self._points)
        self._best: dict[tuple[int, int, int, EpochPart], tuple[int, dict[str, Best]]] = {}

    def losses(self, run: Snapshot, columns: int) -> list[plot.Segment]:
        """Return the abandoned segments, then the lineage in about `columns` buckets.

        Neighbouring segments of the lineage with the same loss are joined.
        """
        level = _level(run, columns)
        *ended, newest = run.segments or [None]
        reference, parents = self._reference_segments(run)
        line = [self._ended_series(segment, level) for segment in ended if segment]
        line += [self._series(newest, level)] if newest else []
        abandoned = [
            *(reference._ended_series(segment, level) for segment in parents),
            *(self._ended_series(segment, level) for segment in _abandoned(run)),
        ]
        return [*(segment._replace(validations=(), is_abandoned=True) for segment in abandoned),
                *_joined(line)]  # fmt: skip

    def validations(self, run: Snapshot, points: int) -> Validations:
        """Return the epochs of the lineage, thinned to about `points`, and the abandoned ones."""
        level = _level(run, points)
        *ended, newest = run.segments or [None]
        lineage = [self._ended_epochs(segment, level) for segment in ended if segment]
        lineage += [self._epochs(newest, level)] if newest else []
        reference, parents = self._reference_segments(run)
        abandoned = [reference._ended_epochs(segment, level) for segment in parents]
        abandoned += [self._ended_epochs(segment, level) for segment in _abandoned(run)]
        return Validations(tuple(epoch for epochs in lineage for epoch in epochs), tuple(abandoned))

    def series(self, run: Snapshot, name: str, columns: int) -> list[plot.Curve]:
        """Return the curves of a series: the abandoned segments, then the lineage."""
        level = _level(run, columns)
        *ended, newest = run.segments or [None]
        reference, parents = self._reference_segments(run)
        abandoned = [reference._ended_points(segment, name, level) for segment in parents]
        abandoned += [self._ended_points(segment, name, level) for segment in _abandoned(run)]
        line = [self._ended_points(segment, name, level) for segment in ended if segment]
        line += [self._points(newest, name, level)] if newest else []
        lineage = tuple(point for points in line for point in points)
        return [*(plot.Curve(points, "past") for points in abandoned), plot.Curve(lineage)]

    def best(self, run: Snapshot) -> dict[str, Best]:
        """Return the best value, and its epoch, of each metric on the lineage."""
        metrics = metrics_of(run)
        best: dict[str, Best] = {}
        for segment in run.segments:
            for part in _PARTS:
                signs = {metric.name: metric.sign for metric in metrics if metric.part == part}
                best = _better(best, self._best_of(segment, part, signs), signs)
        return best

    def dashed_in_words(self, run: Snapshot) -> str:
        """Return in words what the charts of a run have in dashes; empty where that is nothing."""
        _, parents = self._reference_segments(run)
        left = ["left behind by an undo, a rollback or a crash"] if _abandoned(run) else []
        return " and ".join([*left, *(["the run that it was made from"] if parents else [])])

    def _reference_segments(self, run: Snapshot) -> tuple[Curves, list[Segment]]:
        """Return the reader and the segments of the reference run, up to the end of the axis."""
        reference = self._reference()
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
        """Return the best values of a segment; read only its new epochs, or all if it shrank."""
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
    """Return the segments of a lineage, with neighbours of one loss joined."""
    return [
        _merged(list(neighbours))
        for _, neighbours in groupby(line, key=lambda segment: segment.loss_name)
    ]


def _merged(neighbours: Sequence[plot.Segment]) -> plot.Segment:
    return neighbours[0]._replace(
        last=neighbours[-1].last,
        buckets=tuple(bucket for segment in neighbours for bucket in segment.buckets),
        validations=tuple(point for segment in neighbours for point in segment.validations),
        takes=tuple(mark for segment in neighbours for mark in segment.takes),
    )


def _better(
    earlier: Mapping[str, Best], later: Mapping[str, Best], signs: Mapping[str, int]
) -> dict[str, Best]:
    """Return the better value for each name; of equal values the earlier."""
    better = {
        name: best
        for name, best in later.items()
        if name not in earlier or signs[name] * (best.value - earlier[name].value) > 0
    }
    return {**earlier, **better}


def loss_chart(run: Snapshot, curves: Curves, width: int, height: int) -> Picture:
    """Return the loss chart of a run; read the losses at the resolution of that size."""
    segments = curves.losses(run, plot.canvas_columns(width))
    return plot.draw_losses(segments, width=width, height=height, options=options_for(run))


def metric_chart(
    run: Snapshot, curves: Curves, metric: ComparableMetric, width: int, height: int
) -> Picture:
    """Return the chart of one metric of a run."""
    validations = curves.validations(run, plot.canvas_columns(width))
    return plot.draw_curves(
        curves_of(metric, validations), width=width, height=height, options=options_for(run),
        rulers=rulers(run),
    )  # fmt: skip


def series_chart(run: Snapshot, curves: Curves, name: str, width: int, height: int) -> Picture:
    """Return the chart of one series of a run."""
    return plot.draw_curves(
        curves.series(run, name, plot.canvas_columns(width)), width=width, height=height,
        options=options_for(run), rulers=rulers(run),
    )  # fmt: skip


def curves_of(metric: ComparableMetric, validations: Validations) -> list[plot.Curve]:
    """Return the curves of a metric: the abandoned segments, then the lineage."""
    abandoned = [
        plot.Curve(tuple(metric.points(epochs)), "past") for epochs in validations.abandoned
    ]
    return [*abandoned, plot.Curve(tuple(metric.points(validations.lineage)))]


def rulers(run: Snapshot) -> list[int]:
    """Return the first step after each loss swap, as the loss chart marks them."""
    return [after.first for before, after in pairwise(run.segments) if after.loss != before.loss]


def last_of_axis(run: Snapshot) -> int:
    """Return the last step of the charts' axis."""
    return scale.nice_end(_reach(run), _planned(run))


def options_for(run: Snapshot) -> plot.ChartOptions:
    """Return the options of the run's charts, which give all of them the same x axis."""
    return plot.ChartOptions(planned=_planned(run), newest=_reach(run))


def _planned(run: Snapshot) -> int:
    return planned_steps(run) or max(1, run.step)


def _reach(run: Snapshot) -> int:
    """Return the last step trained on any take."""
    return max([run.step, *(segment.last for segment in run.lineage.abandoned)])


def _level(run: Snapshot, points: int) -> int:
    return level_for(last_of_axis(run), points)


def _abandoned(run: Snapshot) -> tuple[Segment, ...]:
    return run.lineage.abandoned[-_MOST_ABANDONED:]
