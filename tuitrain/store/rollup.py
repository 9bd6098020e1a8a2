"""Values summed up in buckets of 2^k steps, so that any window is drawn from a few rows a column.

Bucket b of level k covers the steps b·2^k + 1 … (b + 1)·2^k. Only complete buckets are written,
and never changed: the unfinished end of a run is read from finer levels, its last steps raw.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

BASE = 4
"""The finest level that is kept: below it, raw rows are few enough."""


class Bucket(NamedTuple):
    """Values of the steps first..last. `low` and `high` are NaN where none was finite."""

    first: int
    last: int
    low: float
    high: float
    total: float
    finite: int

    @property
    def steps(self) -> int:
        return self.last - self.first + 1

    @property
    def mean(self) -> float:
        """Mean of the finite values."""
        return self.total / self.finite if self.finite else math.nan


class Span(NamedTuple):
    """Buckets first..last of a level; at level 0, steps."""

    level: int
    first: int
    last: int


def summed(values: Sequence[float], first: int, last: int | None = None) -> Bucket:
    """Return the bucket of `values`, those of the steps first..last, by default one a step."""
    finite = [value for value in values if math.isfinite(value)]
    last = first + len(values) - 1 if last is None else last
    if not finite:
        return Bucket(first, last, math.nan, math.nan, 0.0, 0)
    return Bucket(first, last, min(finite), max(finite), sum(finite), len(finite))


def joined(buckets: Iterable[Bucket]) -> Bucket:
    """Return one bucket for neighbours, given in order of their steps."""
    several = list(buckets)
    finite = [bucket for bucket in several if bucket.finite]
    return Bucket(
        several[0].first,
        several[-1].last,
        min((bucket.low for bucket in finite), default=math.nan),
        max((bucket.high for bucket in finite), default=math.nan),
        sum(bucket.total for bucket in finite),
        sum(bucket.finite for bucket in finite),
    )


def level_for(steps: int, buckets: int) -> int:
    """Return the finest level at which so many steps fill at most so many buckets."""
    return max(0, math.ceil(math.log2(max(1, steps) / max(1, buckets))))


def cover(first: int, last: int, level: int, base: int = BASE) -> Iterator[Span]:
    """Yield spans that cover the steps first..last exactly, as coarse as `level` where possible.

    Buckets are kept from the level `base` up; below it are single steps.
    """
    if first > last:
        return
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
    """One take's buckets in the making."""

    def __init__(self) -> None:
        self._losses: list[float] = []
        self._next = 0
        self._halves: dict[int, Bucket] = {}

    @classmethod
    def resumed(cls, step: int, losses: list[float], halves: Iterable[Bucket]) -> Rollup:
        """Return one that goes on at `step`.

        `losses` are those since the last edge of a bucket, `halves` the buckets without their
        second.
        """
        rollup = cls()
        rollup._losses, rollup._next = losses, step - len(losses)
        rollup._halves = {(half.steps).bit_length() - 1: half for half in halves}
        return rollup

    def copy(self) -> Rollup:
        """Return one that goes on from here on its own."""
        other = Rollup()
        other._losses, other._next = self._losses, self._next
        other._halves = dict(self._halves)
        return other

    def add(self, step: int, losses: list[float]) -> list[tuple[int, Bucket]]:
        """Take the losses of the steps from `step` on; return the (level, bucket)s they complete.

        Steps follow each other; the first call may start anywhere, and what it finds of a bucket
        that began before it is left to raw rows.
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
