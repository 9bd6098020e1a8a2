"""The losses or another series of a run, as two lists for a plot."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tuitrain.core.segment import Segment
from tuitrain.store.reader import RunReader
from tuitrain.store.rollup import level_for
from tuitrain.view.chart.columns import ends
from tuitrain.view.state.snapshot import Snapshot


class Losses(NamedTuple):
    """Points of a curve, in step order: losses, or the values of another series."""

    steps: list[int]
    values: list[float]


def curve(run: Snapshot, record: RunReader, points: int, loss: str | None) -> Losses:
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
        for step, value in _points(record, before, segment, level):
            losses.steps.append(step)
            losses.values.append(value)
    return losses


def series_curve(run: Snapshot, record: RunReader, points: int, name: str) -> Losses:
    """Return at most about `points` values of a series on the lineage, thinned as by `curve`."""
    segments = [segment for segment in run.segments if segment.steps]
    level = _level(segments, points)
    pairs = [
        point
        for segment in segments
        for bucket in record.values(name, segment.take, (segment.first, segment.last), level)
        for point in ends(bucket)
    ]
    return Losses([step for step, _ in pairs], [value for _, value in pairs])


def _level(segments: Sequence[Segment], points: int) -> int:
    steps = sum(segment.steps for segment in segments)
    return level_for(steps, points // 2) if steps > points else 0


def _points(
    record: RunReader, before: Segment | None, segment: Segment, level: int
) -> Iterator[tuple[int, float]]:
    if before is not None and before.loss != segment.loss:
        yield segment.first, math.nan
    for bucket in record.losses(segment.take, segment.first, segment.last, level):
        yield from ends(bucket)
