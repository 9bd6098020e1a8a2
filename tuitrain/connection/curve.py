"""The losses or another series of a run, as two lists for a plot."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from tuitrain.core.segment import Segment
from tuitrain.store.rollup import Bucket, level_for
from tuitrain.view.chart.columns import ends
from tuitrain.view.state.snapshot import Snapshot


class Losses(NamedTuple):
    """Points of a curve, in step order: losses, or the values of another series."""

    steps: list[int]
    values: list[float]


class Source(Protocol):
    """A reader of losses and other series, such as a client."""

    def losses(self, take: int, first: int, last: int, level: int) -> list[Bucket]:
        """Return the losses of the steps first..last, in buckets of 2^level steps."""
        ...

    def values(self, name: str, take: int, steps: tuple[int, int], level: int) -> list[Bucket]:
        """Return the values of a series in the steps (first, last), in buckets of 2^level steps."""
        ...


def curve(run: Snapshot, source: Source, points: int, loss: str | None) -> Losses:
    """Return at most about `points` losses of the lineage, of one loss function or of all.

    If there are more steps, neighbours become two points, their lowest and their highest loss, so
    that a spike one batch wide survives. A NaN separates the values of two loss functions, which
    are not comparable.
    """
    segments = [
        segment for segment in run.segments if segment.steps and loss in (None, segment.loss)
    ]
    level = _level(segments, points)
    losses = Losses([], [])
    for before, segment in zip((None, *segments), segments, strict=False):
        for step, value in _points(source, before, segment, level):
            losses.steps.append(step)
            losses.values.append(value)
    return losses


def series_curve(run: Snapshot, source: Source, points: int, name: str) -> Losses:
    """Return at most about `points` values of a series on the lineage, thinned as by `curve`."""
    segments = [segment for segment in run.segments if segment.steps]
    level = _level(segments, points)
    pairs = [
        point
        for segment in segments
        for bucket in source.values(name, segment.take, (segment.first, segment.last), level)
        for point in ends(bucket)
    ]
    return Losses([step for step, _ in pairs], [value for _, value in pairs])


def _level(segments: Sequence[Segment], points: int) -> int:
    steps = sum(segment.steps for segment in segments)
    return level_for(steps, points // 2) if steps > points else 0


def _points(
    source: Source, before: Segment | None, segment: Segment, level: int
) -> Iterator[tuple[int, float]]:
    if before is not None and before.loss != segment.loss:
        yield segment.first, math.nan
    for bucket in source.losses(segment.take, segment.first, segment.last, level):
        yield from ends(bucket)
