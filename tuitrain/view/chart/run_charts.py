"""The large charts of a run: functions of the run, a size, and how a user looks at it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

from tuitrain.core.safe import safe
from tuitrain.view.chart import plot
from tuitrain.view.chart.chart_view import USUAL, ChartView
from tuitrain.view.chart.curve_chart import curves_laid_out
from tuitrain.view.chart.curves import Curves, curves_of
from tuitrain.view.chart.drawing import Drawing
from tuitrain.view.chart.live import check_record, options_for, rulers
from tuitrain.view.chart.loss_chart import laid_out
from tuitrain.view.chart.x_axis import STEPS, XMap
from tuitrain.view.picture import Picture
from tuitrain.view.state.metrics import ComparableMetric
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import words

_TO_THE_SECOND = 60.0


class Charted(NamedTuple):
    """A chart, and how to point at its steps."""

    picture: Picture
    notes: tuple[str, ...] = ()
    """How it differs from a usual chart."""
    readout: str = ""
    """The values at the cursor."""
    gutter: int = 0
    """Cells of its lines before the canvas."""
    drawing: Drawing | None = None
    x: XMap = STEPS

    def step_at(self, column: int) -> int | None:
        """Return the step drawn in a column of cells, counted from 0; None beside the canvas."""
        if self.drawing is None or column < self.gutter:
            return None
        return max(0, round(self.x.step(self.drawing.frame.x(column - self.gutter))))


def loss_chart(
    run: Snapshot, curves: Curves, width: int, height: int, view: ChartView = USUAL,
    *, was_log: bool = False,
) -> Charted:  # fmt: skip
    """Return the loss chart of a run; read the losses at the resolution of that size.

    `was_log`: the chart of the run was logarithmic until now.
    """
    check_record(run)
    if min(width, height) < 2:
        return Charted(plot.blank(width, height))
    segments = curves.losses(run, plot.canvas_columns(width), view)
    x = curves.x_map(run, view.unit)
    options = replace(options_for(run, view, x), was_log=was_log)
    drawing = laid_out(segments, width=width, height=height, options=options)
    charted = _charted(drawing, view, width, x)
    if view.cursor is None:
        return charted
    return charted._replace(readout=readout(run, curves, view.cursor, drawing.smoothed))


def metric_chart(
    run: Snapshot, curves: Curves, metric: ComparableMetric, width: int, height: int,
    view: ChartView = USUAL,
) -> Charted:  # fmt: skip
    """Return the chart of one metric of a run."""
    validations = curves.validations(run, plot.canvas_columns(width), view)
    return _curves(run, curves_of(metric, validations), validations.x, (width, height), view,
                   may_be_log=metric.is_loss)  # fmt: skip


def series_chart(
    run: Snapshot, curves: Curves, name: str, width: int, height: int, view: ChartView = USUAL
) -> Charted:
    """Return the chart of one series of a run."""
    of_series = curves.series(run, name, plot.canvas_columns(width), view)
    return _curves(run, of_series, curves.x_map(run, view.unit), (width, height), view)


def _curves(
    run: Snapshot, drawn: list[plot.Curve], x: XMap, size: tuple[int, int], view: ChartView,
    *, may_be_log: bool = True,
) -> Charted:  # fmt: skip
    width, height = size
    if min(size) < 2:
        return Charted(plot.blank(*size))
    options = options_for(run, view, x, may_be_log=may_be_log)
    drawing = curves_laid_out(
        drawn, width=width, height=height, options=options,
        rulers=[x.x(step) for step in rulers(run)],
    )  # fmt: skip
    return _charted(drawing, view, width, x)


def _charted(drawing: Drawing, view: ChartView, width: int, x: XMap) -> Charted:
    return Charted(
        plot.picture_of(drawing),
        tuple(view.notes(is_log=drawing.is_log)),
        gutter=width - drawing.frame.columns,
        drawing=drawing,
        x=x,
    )


def readout(run: Snapshot, curves: Curves, step: int, smoothed: float | None) -> str:
    """Return in words what was recorded at a step: epoch, loss, smoothed loss, training time.

    The loss function is named if it is not the one in use.
    """
    batch = curves.batch(run, step)
    at = f"step {words.count(step)}"
    if batch is None:
        return f"{at}: not recorded"
    loss = next(segment.loss for segment in run.segments if segment.first <= step <= segment.last)
    parts = [at]
    if not run.is_watched or run.steps_per_epoch:
        parts.append(f"epoch {words.count(batch.epoch)}")
    name = "" if loss == run.loss else f"{safe(words.loss(loss))} "
    parts.append(f"{name}{_exact(batch.loss)}")
    if smoothed is not None:
        parts.append(f"smoothed {smoothed:.4g}")
    return " · ".join([*parts, _trained_for(batch.elapsed_ms / 1000)])


def _exact(loss: float) -> str:
    return f"{loss:.6g}" if math.isfinite(loss) else words.value(loss)


def _trained_for(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < _TO_THE_SECOND else words.duration(seconds)
