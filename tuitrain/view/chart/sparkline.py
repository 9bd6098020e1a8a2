"""The losses of a run in one short line of blocks, for a list of runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from tuitrain.store.reader import RunReader
from tuitrain.store.rollup import Bucket, joined, level_for
from tuitrain.view.chart.columns import mean
from tuitrain.view.state.snapshot import Snapshot

_BLOCKS, _FLAT = "▁▂▃▄▅▆▇█", "▄"
_A_CELL = 2
"""Most buckets read for a cell."""


def sparkline(run: Snapshot, record: RunReader, cells: int) -> str:
    """Return the training losses since the last swap in at most so many cells, oldest first.

    The scale is the run's own: logarithmic, from its lowest to its highest mean of a cell; a cell
    without a finite loss is blank. However long the run is, a few dozen rows are read.
    """
    means = [mean(bucket) for bucket in _gathered(list(_buckets(run, record, cells)), cells)]
    if all(value > 0 for value in means if math.isfinite(value)):
        means = [math.log(value) if math.isfinite(value) else value for value in means]
    finite = [value for value in means if math.isfinite(value)]
    if not finite:
        return ""
    low, extent = min(finite), max(finite) - min(finite)
    return "".join(_block(value, low, extent) for value in means)


def _block(value: float, low: float, extent: float) -> str:
    if not math.isfinite(value):
        return " "
    return _BLOCKS[round((value - low) / extent * (len(_BLOCKS) - 1))] if extent else _FLAT


def _buckets(run: Snapshot, record: RunReader, cells: int) -> Iterator[Bucket]:
    segments = [segment for segment in run.segments if segment.steps and segment.loss == run.loss]
    level = level_for(sum(segment.steps for segment in segments), _A_CELL * cells)
    for segment in segments:
        last = segment.last - segment.last % (1 << level)  # whole buckets are one row each
        yield from record.losses(segment.take, segment.first, max(last, segment.first), level)


def _gathered(buckets: Sequence[Bucket], cells: int) -> list[Bucket]:
    """Return the buckets in order, joined into at most so many."""
    count = min(cells, len(buckets))
    edges = [len(buckets) * cell // count for cell in range(count + 1)] if count else [0]
    return [joined(buckets[first:last]) for first, last in pairwise(edges)]
