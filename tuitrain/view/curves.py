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
    """Return the current line's stretches, oldest first, in about so many buckets altogether."""
    level = level_for(scale.nice_end(run.step, run.planned_steps or run.step), columns)
    return [
        plot.Segment(
            each.loss,
            each.first,
            each.last,
            tuple(source.losses(each.take, each.first, each.last, level)),
            tuple(source.validations(each.take, each.first, each.last, columns // 2)),
        )
        for each in run.line_stretches
    ]
