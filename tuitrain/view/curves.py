"""What a loss chart draws of a run: its stretches of one loss each, read at the chart's width."""

from __future__ import annotations

from typing import Protocol

from tuitrain.store.rollup import Bucket, level_for
from tuitrain.view import plot, scale
from tuitrain.view.model import Snapshot
from tuitrain.view.picture import Picture


class Source(Protocol):
    """Where losses are read: a client, or a record itself."""

    def losses(self, take: int, first: int, last: int, level: int) -> list[Bucket]:
        """Return the losses of the steps first..last in buckets of 2^level steps."""
        ...

    def validations(self, take: int, first: int, last: int, points: int) -> list[tuple[int, float]]:
        """Return (step, validation loss) of at most so many epochs that ended in first..last."""
        ...


def loss_chart(run: Snapshot, source: Source, width: int, height: int) -> Picture:
    """Read what a chart of that size shows of the run, and draw it."""
    planned = run.planned_steps or max(1, run.step)
    options = plot.ChartOptions(planned=planned, half_life=None)
    columns = plot.canvas_columns(width)
    return plot.draw_losses(segments(run, source, columns), width=width, height=height,
                            options=options)  # fmt: skip


def segments(run: Snapshot, source: Source, columns: int) -> list[plot.Segment]:
    """Return the run's stretches, the oldest first, in about so many buckets altogether."""
    newest = run.step
    level = level_for(scale.nice_end(newest, run.planned_steps or newest), columns)
    ends = [each.first - 1 for each in run.stretches[1:]] + [newest]
    return [
        plot.Segment(
            stretch.loss,
            stretch.first,
            last,
            tuple(source.losses(run.take, stretch.first, last, level)),
            tuple(source.validations(run.take, stretch.first, last, columns // 2)),
        )
        for stretch, last in zip(run.stretches, ends, strict=True)
        if stretch.first <= last
    ]
