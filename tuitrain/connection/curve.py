"""The losses of a run as two lists for a plot."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from tuitrain.core.segment import Segment
from tuitrain.store.rollup import Bucket, level_for
from tuitrain.view.model import Snapshot


class Losses(NamedTuple):
    """Points of a curve, in the order of their steps."""

    steps: list[int]
    values: list[float]


class Source(Protocol):
    """Where losses are read."""

    def losses(self, take: int, first: int, last: int, level: int) -> list[Bucket]:
        """Return the losses of the steps first..last in buckets of 2^level steps."""
        ...


def curve(run: Snapshot, source: Source, points: int, loss: str | None) -> Losses:
    """Return about so many points of the lineage at most, those of one loss or of all.

    Where there are more steps, neighbours become two points, their lowest and their highest loss:
    a spike one batch wide survives. Between two losses, which do not compare, stands a NaN.
    """
    segments = [each for each in run.segments if each.steps and loss in (None, each.loss)]
    steps = sum(segment.steps for segment in segments)
    level = level_for(steps, points // 2) if steps > points else 0
    found = Losses([], [])
    for before, segment in zip((None, *segments), segments, strict=False):
        for step, value in _points(source, before, segment, level):
            found.steps.append(step)
            found.values.append(value)
    return found


def _points(
    source: Source, before: Segment | None, segment: Segment, level: int
) -> Iterator[tuple[int, float]]:
    if before is not None and before.loss != segment.loss:
        yield segment.first, math.nan
    for bucket in source.losses(segment.take, segment.first, segment.last, level):
        yield bucket.first, bucket.low
        if bucket.last > bucket.first:
            yield bucket.last, bucket.high
