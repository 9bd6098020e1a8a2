"""Read the lineage and the abandoned segments of a run, for its charts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, groupby
from typing import NamedTuple

from tuitrain.core.events import EpochEnded
from tuitrain.core.segment import FAR, Segment
from tuitrain.store.epoch_values import PARTS, Best, EpochPart, EpochValue, EpochValues
from tuitrain.store.reader import RunReader
from tuitrain.store.rollup import level_for
from tuitrain.store.schema import BatchRow
from tuitrain.view.chart import columns, plot
from tuitrain.view.chart.chart_view import USUAL, ChartView, Window
from tuitrain.view.chart.live import live_window, planned
from tuitrain.view.chart.x_axis import STEPS, XMap, XUnit, joined
from tuitrain.view.chart.x_maps import map_of
from tuitrain.view.state.metrics import ComparableMetric, metrics_of
from tuitrain.view.state.snapshot import Snapshot

_MOST_ABANDONED = 12
"""Most abandoned segments that are drawn, the newest."""
_MARKS = 2
"""Levels above that of the losses, so that a validation is marked every 2 to 4 cells at most."""
_REMEMBERED = 64
_PIECE = 16
"""Buckets of a part of a segment that is read once."""
_TIMES = 64
"""Steps of an axis whose training time is read; between them it is interpolated."""
_HISTORY = 4
"""Half-lives of earlier losses that a zoomed chart smooths, too."""


class Validations(NamedTuple):
    """The metrics and losses of the epochs that a chart shows."""

    lineage: EpochValues
    abandoned: tuple[EpochValues, ...]
    """Those of each abandoned segment."""
    x: XMap = STEPS
    """The map of the steps of the lineage to the x axis."""
    x_abandoned: tuple[XMap, ...] = ()


class ReferenceRun(NamedTuple):
    """A run whose curves are drawn behind: the parent of a fork, or the run a replay repeats."""

    run: Snapshot
    curves: Curves


def no_reference_run() -> ReferenceRun | None:
    """Return None: a run without a parent has no reference run."""
    return None


class _Visible(NamedTuple):
    """Segments, or the visible parts of them."""

    lineage: list[Segment]
    reference: Curves
    parents: list[Segment]
    """Of the reference run."""
    abandoned: list[Segment]


class Curves:
    """Reads a run for its charts. Segments that cannot change are cached."""

    def __init__(
        self, record: RunReader, reference: Callable[[], ReferenceRun | None] = no_reference_run
    ) -> None:
        """`reference` returns the reference run as last read."""
        self._record = record
        self._reference = reference
        self._ended_series = lru_cache(_REMEMBERED)(self._series)
        self._ended_epochs = lru_cache(_REMEMBERED)(self._epochs)
        self._ended_points = lru_cache(_REMEMBERED)(self._points)
        self._ended_marks = lru_cache(_REMEMBERED)(record.validations)
        self._ended_values = lru_cache(_REMEMBERED)(record.epoch_values)
        self._ended_times = lru_cache(_REMEMBERED)(self._times)
        self._best: dict[tuple[int, int, int, EpochPart], tuple[int, dict[str, Best]]] = {}

    def losses(self, run: Snapshot, columns: int, view: ChartView = USUAL) -> list[plot.Segment]:
        """Return the abandoned segments, then the lineage in about `columns` buckets.

        Neighbouring segments of the lineage with the same loss are joined, by time only if they
        are of one take. Of a window, the segments have its steps only, and some earlier losses as
        their history.
        """
        shown = view.window or live_window(run)
        earlier = round(_HISTORY * view.smoothing(shown)) if view.window else 0
        level = level_for(shown.steps, columns)
        lineage, reference, parents, abandoned = self._visible(run, view, earlier)
        along = self.x_map(run, view.unit)
        line = [self._ended_series(segment, level) for segment in lineage[:-1]]
        line += [self._series(segment, level) for segment in lineage[-1:]]
        background = [
            *(reference._ended_series(segment, level) for segment in parents),
            *(self._ended_series(segment, level) for segment in abandoned),
        ]
        maps = self._background_maps(run, view.unit, reference, (parents, abandoned))
        segments = [
            *(segment._replace(validations=(), is_abandoned=True, x=x)
              for segment, x in zip(background, maps, strict=True)),
            *(segment._replace(x=along) for segment in _joined(line, by_take=view.unit == "time")),
        ]  # fmt: skip
        if not earlier:
            return segments
        return [_starting_at(segment, shown.first) for segment in segments
                if segment.last >= shown.first]  # fmt: skip

    def validations(self, run: Snapshot, points: int, view: ChartView = USUAL) -> Validations:
        """Return what the epochs were validated with, of each metric about `points` values.

        The lowest and the highest value of neighbours are among them: no spike and no best is lost.
        """
        level = level_for((view.window or live_window(run)).steps, points)
        segments, reference, parents, abandoned = self._visible(run, view)
        lineage = [self._ended_epochs(segment, level) for segment in segments[:-1]]
        lineage += [self._epochs(segment, level) for segment in segments[-1:]]
        background = [reference._ended_epochs(segment, level) for segment in parents]
        background += [self._ended_epochs(segment, level) for segment in abandoned]
        maps = self._background_maps(run, view.unit, reference, (parents, abandoned))
        return Validations(
            _chained(lineage), tuple(background),
            self.x_map(run, view.unit), tuple(maps),
        )  # fmt: skip

    def series(
        self, run: Snapshot, name: str, columns: int, view: ChartView = USUAL
    ) -> list[plot.Curve]:
        """Return the curves of a series: the abandoned segments, then the lineage."""
        level = level_for((view.window or live_window(run)).steps, columns)
        segments, reference, parents, abandoned = self._visible(run, view)
        background = [reference._ended_points(segment, name, level) for segment in parents]
        background += [self._ended_points(segment, name, level) for segment in abandoned]
        maps = self._background_maps(run, view.unit, reference, (parents, abandoned))
        line = [self._ended_points(segment, name, level) for segment in segments[:-1]]
        line += [self._points(segment, name, level) for segment in segments[-1:]]
        lineage = tuple(point for points in line for point in points)
        along = self.x_map(run, view.unit)
        return [
            *(plot.Curve(_placed(points, x), "past")
              for points, x in zip(background, maps, strict=True)),
            plot.Curve(_placed(lineage, along)),
        ]  # fmt: skip

    def x_map(self, run: Snapshot, unit: XUnit) -> XMap:
        """Return where the steps of the lineage lie on an axis; as steps if it has no such unit."""
        if unit != "time":
            return map_of(run, unit, run.take) or STEPS
        level = level_for(live_window(run).steps, _TIMES)
        line = [self._ended_times(segment, level) for segment in run.segments[:-1]]
        line += [self._times(segment, level) for segment in run.segments[-1:]]
        return _timed([(run.lineage.step, 0.0), *joined(line).knots])

    def batch(self, run: Snapshot, step: int) -> BatchRow | None:
        """Return the batch of a step of the lineage."""
        for segment in run.segments:
            if segment.first <= step <= segment.last:
                return next(iter(self._record.batches_in(segment.take, step, step, 1)), None)
        return None

    def epoch_at(self, run: Snapshot, step: int) -> EpochEnded | None:
        """Return the last epoch of the lineage that ended at a step or before."""
        segments = reversed([*_clipped(run.segments, 0, step)])
        return next(filter(None, map(self._record.last_epoch, segments)), None)

    def best(self, run: Snapshot) -> dict[str, Best]:
        """Return the best value, and its epoch, of each metric on the lineage."""
        metrics = metrics_of(run)
        best: dict[str, Best] = {}
        for segment in run.segments:
            for part in PARTS:
                signs = {metric.name: metric.sign for metric in metrics if metric.part == part}
                best = _better(best, self._best_of(segment, part, signs), signs)
        return best

    def dashed_in_words(self, run: Snapshot) -> str:
        """Return in words what the charts of a run have in dashes; empty where that is nothing."""
        _, parents = self._reference_segments(run)
        left = ["left behind by an undo, a rollback or a crash"] if _abandoned(run) else []
        return " and ".join([*left, *(["the run that it was made from"] if parents else [])])

    def _visible(self, run: Snapshot, view: ChartView, earlier: int = 0) -> _Visible:
        """Return the parts of all segments that a view shows, and so many earlier steps."""
        reference, parents = self._reference_segments(run)
        window = view.window or Window(0, FAR)
        first, last = window.first - earlier, window.last
        return _Visible(
            list(_clipped(run.segments, first, last)), reference,
            list(_clipped(parents, first, last)), list(_clipped(_abandoned(run), first, last)),
        )  # fmt: skip

    def _background_maps(
        self, run: Snapshot, unit: XUnit, reference: Curves,
        background: tuple[Sequence[Segment], Sequence[Segment]],
    ) -> Iterator[XMap]:  # fmt: skip
        """Yield where the steps of the reference run and of abandoned segments lie."""
        parents, abandoned = background
        level = level_for(live_window(run).steps, _TIMES)
        along = STEPS if unit == "time" else map_of(run, unit, run.take) or STEPS
        for segment in parents:
            yield _timed(reference._ended_times(segment, level).knots) if unit == "time" else along
        for segment in abandoned:
            if unit == "time":
                yield _timed(self._ended_times(segment, level).knots)
            else:
                yield map_of(run, unit, segment.take) or STEPS

    def _reference_segments(self, run: Snapshot) -> tuple[Curves, list[Segment]]:
        """Return the reader and the segments of the reference run, up to the end of the axis."""
        reference = self._reference()
        if reference is None:
            return self, []
        reach = max(planned(run), run.step)
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
            newer = self._record.best(segment._replace(after_epoch=read), part, signs)
            read, best = segment.last_epoch, _better(best, newer, signs)
        self._best[where] = read, best
        return best

    def _series(self, segment: Segment, level: int) -> plot.Segment:
        where = segment.first, segment.last
        buckets = self._record.losses(segment.take, *where, level) if segment.steps else []
        validations = self._marks(segment, level + _MARKS)
        takes = ((segment.first, segment.take),)
        return plot.Segment(segment.loss, *where, tuple(buckets), validations, takes=takes)

    def _points(self, segment: Segment, name: str, level: int) -> tuple[tuple[int, float], ...]:
        where = segment.first, segment.last
        buckets = self._record.values(name, segment.take, where, level) if segment.steps else []
        return tuple(point for bucket in buckets for point in columns.ends(bucket))

    def _times(self, segment: Segment, level: int) -> XMap:
        """Return the training time, in seconds, of steps of a segment, its first and last too."""
        size = 1 << level
        first, last = segment.first, segment.last
        steps = sorted({first, *range(-(-first // size) * size, last + 1, size), last})
        times = self._record.elapsed(segment.take, steps) if segment.steps else []
        return XMap(tuple((step, elapsed_ms / 1000) for step, elapsed_ms in times))

    def _marks(self, segment: Segment, level: int) -> tuple[tuple[int, float], ...]:
        """Return (step, validation loss), the extremes among them."""
        *ended, newest = _pieces(segment, level)
        pieces = [self._ended_marks(piece, level) for piece in ended]
        marks = chain(*pieces, self._record.validations(newest, level))
        return tuple((mark.step, mark.value) for mark in marks)

    def _epochs(self, segment: Segment, level: int) -> EpochValues:
        *ended, newest = _pieces(segment, level)
        pieces = [self._ended_values(piece, level) for piece in ended]
        return _chained([*pieces, self._record.epoch_values(newest, level)])


def _pieces(segment: Segment, level: int) -> Iterator[Segment]:
    """Yield the parts of a segment with `_PIECE` buckets each: all but the last stay as they are.

    A long run is drawn several times a second, and all that its epochs say is not read each time.
    """
    size = _PIECE << level
    while segment.last > (end := (segment.first - 1) // size * size + size):
        yield segment._replace(last=end, last_epoch=FAR)
        segment = segment._replace(first=end + 2)  # past the epoch that ended at that step
    yield segment


def _chained(pieces: Iterable[EpochValues]) -> EpochValues:
    """Return the values of consecutive segments, given in order."""
    chained: dict[EpochPart, dict[str, list[EpochValue]]] = {part: {} for part in PARTS}
    for piece in pieces:
        for part, values_of in piece.items():
            for name, values in values_of.items():
                chained[part].setdefault(name, []).extend(values)
    return chained


def _joined(line: Iterable[plot.Segment], *, by_take: bool) -> list[plot.Segment]:
    """Return the segments of a lineage, with neighbours of one loss joined.

    `by_take`: those of two takes stay apart, since other steps were trained between them.
    """

    def kind(segment: plot.Segment) -> tuple[str, int]:
        return segment.loss_name, segment.takes[0][1] if by_take else 0

    return [_merged(list(neighbours)) for _, neighbours in groupby(line, key=kind)]


def _merged(neighbours: Sequence[plot.Segment]) -> plot.Segment:
    # a loss that was swapped and swapped back begins a segment, but no take
    marks = chain(*(segment.takes for segment in neighbours))
    takes = [next(of_take) for _, of_take in groupby(marks, key=lambda mark: mark[1])]
    return neighbours[0]._replace(
        last=neighbours[-1].last,
        buckets=tuple(bucket for segment in neighbours for bucket in segment.buckets),
        validations=tuple(point for segment in neighbours for point in segment.validations),
        takes=tuple(takes),
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


def _clipped(segments: Iterable[Segment], first: int, last: int) -> Iterator[Segment]:
    """Yield the parts of segments in the steps first..last."""
    for segment in segments:
        if segment.first <= last and segment.last >= first:
            yield segment._replace(first=max(segment.first, first), last=min(segment.last, last))


def _starting_at(segment: plot.Segment, first: int) -> plot.Segment:
    """Return the segment from a step on, with its earlier losses as history."""
    at = sum(bucket.last < first for bucket in segment.buckets)
    return segment._replace(
        first=max(first, segment.first),
        buckets=segment.buckets[at:],
        history=segment.buckets[:at],
        validations=tuple(point for point in segment.validations if point[0] >= first),
    )


def _placed(points: Iterable[tuple[float, float]], x: XMap) -> tuple[tuple[float, float], ...]:
    return tuple((x.x(step), value) for step, value in points)


def _timed(knots: Iterable[tuple[float, float]]) -> XMap:
    """Return the map through these knots, and through a last one a step later."""
    line = list(knots) or [(0.0, 0.0)]
    step, seconds = line[-1]
    pace = (seconds - line[0][1]) / max(1.0, step - line[0][0])
    return XMap((*line, (step + 1, seconds + max(pace, 1e-6))))


def curves_of(metric: ComparableMetric, validations: Validations) -> list[plot.Curve]:
    """Return the curves of a metric: the abandoned segments, then the lineage."""
    abandoned = [
        plot.Curve(_placed(metric.points(epochs), x), "past")
        for epochs, x in zip(validations.abandoned, validations.x_abandoned, strict=True)
    ]
    return [*abandoned, plot.Curve(_placed(metric.points(validations.lineage), validations.x))]


def _abandoned(run: Snapshot) -> tuple[Segment, ...]:
    return run.lineage.abandoned[-_MOST_ABANDONED:]
