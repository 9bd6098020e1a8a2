"""Prepare values for a chart: gather them into columns, smooth them, split them at gaps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, pairwise

from tuitrain.store.rollup import Bucket, joined


def mean(bucket: Bucket) -> float:
    """Return the mean of the finite losses; NaN if there is none.

    If their sum overflowed, return the middle of the bucket.
    """
    if not bucket.finite:
        return math.nan
    if math.isfinite(bucket.total):
        return min(max(bucket.mean, bucket.low), bucket.high)
    return bucket.low / 2 + bucket.high / 2


def smoothed(buckets: Iterable[Bucket], half_life: float, *, is_log: bool = False) -> list[float]:
    """Return the running mean of the losses at the end of each bucket, NaN where none was finite.

    With `is_log` it is the mean of their logarithms, and a loss that has none counts as not finite:
    losses that fall by decades would leave their mean far above all of them.

    A loss `half_life` steps back weighs half as much as the newest one. The decay is per step, not
    per bucket, so that the line is the same at every zoom level. The line starts at the first loss,
    not at zero; a bucket without finite losses only decays the weights.
    """
    average, weight, line = 0.0, 0.0, []
    for bucket in buckets:
        decay = 0.5 ** (bucket.steps / half_life) if half_life > 0 else 0.0
        weight *= decay
        value = _logarithm(mean(bucket)) if is_log else mean(bucket)
        if not math.isnan(value):
            added = max((1 - decay) * bucket.finite / bucket.steps, 1e-12)
            share = added / (weight + added)
            average = average * (1 - share) + value * share
            weight += added
        smooth = 10.0**average if is_log else average
        line.append(math.nan if math.isnan(value) else smooth)
    return line


def _logarithm(value: float) -> float:
    return math.log10(value) if value > 0 else math.nan


def ends(bucket: Bucket) -> Iterator[tuple[int, float]]:
    """Yield (step, value): the lowest value at the first step, the highest at the last step.

    A line through these points shows a spike one step wide in a bucket of any size.
    """
    yield bucket.first, bucket.low
    if bucket.last > bucket.first:
        yield bucket.last, bucket.high


def column_of(x: float, first: float, last: float, count: int) -> int:
    """Return the column, 0 to count - 1, of a place within first..last."""
    return math.floor((x - first) / ((last - first) or 1) * (count - 1) + 0.5)


def columns(
    buckets: Iterable[Bucket], column_of_step: Callable[[float], int], count: int
) -> list[Bucket | None]:
    """Return one bucket per column of an axis, None for an empty column.

    A bucket belongs to the column of its middle. The buckets of a column are joined: a spike one
    step wide is the column's high.
    """
    gathered: list[list[Bucket]] = [[] for _ in range(count)]
    for bucket in buckets:
        column = column_of_step((bucket.first + bucket.last) / 2)
        if 0 <= column < count:
            gathered[column].append(bucket)
    return [joined(neighbours) if neighbours else None for neighbours in gathered]


def unbroken(row: Sequence[Bucket | None]) -> Iterator[list[tuple[int, Bucket]]]:
    """Yield the runs of (column, bucket) that a line may join.

    A line breaks at a column without finite losses and where steps are missing.
    """
    piece: list[tuple[int, Bucket]] = []
    for column, bucket in enumerate(row):
        if bucket is None:
            continue
        is_next = bool(piece) and piece[-1][1].last + 1 >= bucket.first
        if piece and not (bucket.finite and is_next):
            yield piece
            piece = []
        if bucket.finite:
            piece.append((column, bucket))
    if piece:
        yield piece


def band(
    points: Sequence[tuple[int, float, float]],
) -> Iterator[tuple[int, float, float]]:
    """Yield (column, low, high) for each column from the first point's to the last one's.

    Columns between two points are interpolated.
    """
    for (column, low, high), (following, next_low, next_high) in pairwise(points):
        for at in range(column, following):
            share = (at - column) / (following - column)
            rest = 1 - share
            yield at, low * rest + next_low * share, high * rest + next_high * share
    yield from points[-1:]


def inside(line: Sequence[tuple[int, float]]) -> Iterator[list[tuple[int, float]]]:
    """Yield the pieces of a line within 0 to 1, each with its neighbours just outside."""

    def is_near(at: int) -> bool:
        return any(0 <= place <= 1 for _, place in line[max(0, at - 1) : at + 2])

    for near, piece in groupby(range(len(line)), key=is_near):
        if near:
            yield [line[at] for at in piece]
