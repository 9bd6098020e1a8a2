"""Values aggregated in buckets of 2^k steps, so that any window needs only a few rows per column.

Bucket b of level k covers the steps b·2^k + 1 … (b + 1)·2^k. Only complete buckets are written,
and they never change. The end of a run is read from finer levels, and its last steps from rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

BASE = 4
"""The finest level that is stored; below it, the rows themselves are read."""


class Bucket(NamedTuple):
    """Aggregated values of the steps first..last; `low` and `high` are NaN if none is finite."""

    first: int
    last: int
    low: float
    high: float
    total: float
    finite: int
    """Number of finite values."""

    @property
    def steps(self) -> int:
        return self.last - self.first + 1

    @property
    def mean(self) -> float:
        """Mean of the finite values; NaN if there is none."""
        return self.total / self.finite if self.finite else math.nan


class Span(NamedTuple):
    """Buckets first..last of a level; at level 0 these are steps."""

    level: int
    first: int
    last: int


def summed(values: Sequence[float], first: int, last: int | None = None) -> Bucket:
    """Return the bucket of `values`; without `last`, they are one per step from `first` on."""
    finite = [value for value in values if math.isfinite(value)]
    last = first + len(values) - 1 if last is None else last
    if not finite:
        return Bucket(first, last, math.nan, math.nan, 0.0, 0)
    return Bucket(first, last, min(finite), max(finite), sum(finite), len(finite))


def joined(buckets: Iterable[Bucket]) -> Bucket:
    """Return adjacent buckets, given in order of their steps, as one bucket."""
    parts = list(buckets)
    finite = [bucket for bucket in parts if bucket.finite]
    return Bucket(
        parts[0].first,
        parts[-1].last,
        min((bucket.low for bucket in finite), default=math.nan),
        max((bucket.high for bucket in finite), default=math.nan),
        sum(bucket.total for bucket in finite),
        sum(bucket.finite for bucket in finite),
    )


def level_for(steps: int, buckets: int) -> int:
    """Return the finest level at which `steps` steps fill at most `buckets` buckets."""
    return max(0, math.ceil(math.log2(max(1, steps) / max(1, buckets))))


def cover(first: int, last: int, level: int, base: int = BASE) -> Iterator[Span]:
    """Yield spans that cover the steps first..last exactly, as coarse as `level` where possible.

    Buckets are stored from the level `base` up; below it, single steps are used.
    """
    if first > last:
        return
    level = min(level, (last - first + 1).bit_length() - 1)  # none above it fits
    if level < base:
        yield Span(0, first, last)
        return
    size = 1 << level
    from_bucket, to_bucket = -(-(first - 1) // size), last // size - 1
    if from_bucket > to_bucket:
        yield from cover(first, last, level - 1, base)
        return
    yield from cover(first, from_bucket * size, level - 1, base)
    yield Span(level, from_bucket, to_bucket)
    yield from cover((to_bucket + 1) * size + 1, last, level - 1, base)


class Rollup:
    """The incomplete buckets of one take."""

    def __init__(self) -> None:
        self._losses: list[float] = []
        self._next = 0
        self._halves: dict[int, Bucket] = {}
        """By level: the first half of the bucket one level above."""

    @classmethod
    def resumed(cls, step: int, losses: list[float], halves: Iterable[Bucket]) -> Rollup:
        """Return a rollup that continues at `step`.

        `losses` are those since the end of the last complete bucket of the finest level; `halves`
        are the complete buckets whose second half is not complete.
        """
        rollup = cls()
        rollup._losses, rollup._next = losses, step - len(losses)
        rollup._halves = {(half.steps).bit_length() - 1: half for half in halves}
        return rollup

    def copy(self) -> Rollup:
        """Return an independent copy."""
        other = Rollup()
        other._losses, other._next = self._losses, self._next
        other._halves = dict(self._halves)
        return other

    def add(self, step: int, losses: list[float]) -> list[tuple[int, Bucket]]:
        """Add the losses of the steps from `step` on; return the completed (level, bucket)s.

        Steps are consecutive. The first call may start at any step: the rest of a bucket that
        began before it is skipped.
        """
        if not self._next:
            self._next = step
        losses = self._losses + losses
        done: list[tuple[int, Bucket]] = []
        first, size = self._next, 1 << BASE
        to_edge = -(first - 1) % size
        at, first = to_edge, first + to_edge
        while at + size <= len(losses):
            self._complete(BASE, summed(losses[at : at + size], first), done)
            at, first = at + size, first + size
        if at <= len(losses):
            self._losses, self._next = losses[at:], first
        else:
            self._losses = losses
        return done

    def _complete(self, level: int, bucket: Bucket, done: list[tuple[int, Bucket]]) -> None:
        done.append((level, bucket))
        is_second = (bucket.first - 1 >> level) & 1
        half = self._halves.pop(level, None)
        if not is_second:
            self._halves[level] = bucket
        elif half is not None:
            self._complete(level + 1, joined((half, bucket)), done)
