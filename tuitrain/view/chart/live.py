"""The axis that all charts of a run share while they follow it."""

from __future__ import annotations

from itertools import pairwise

from tuitrain.core.errors import NoSuchRun
from tuitrain.view.chart import plot, scale
from tuitrain.view.chart.chart_view import USUAL, ChartView, Window
from tuitrain.view.chart.x_axis import STEPS, XMap
from tuitrain.view.state.progress import planned_steps
from tuitrain.view.state.snapshot import DELETED, Snapshot


def check_record(run: Snapshot) -> None:
    """Raise NoSuchRun if the run was deleted: what was read of its curves before is not all."""
    if run.is_deleted:
        raise NoSuchRun(DELETED)


def rulers(run: Snapshot) -> list[int]:
    """Return the first step after each loss swap, as the loss chart marks them."""
    return [after.first for before, after in pairwise(run.segments) if after.loss != before.loss]


def last_of_axis(run: Snapshot) -> int:
    """Return the last step of the charts' axis."""
    return scale.nice_end(_reach(run), planned(run))


def live_window(run: Snapshot) -> Window:
    """Return the steps that the charts of a run show while they follow it."""
    return Window(0, last_of_axis(run))


def options_for(
    run: Snapshot, view: ChartView = USUAL, x: XMap = STEPS, *, may_be_log: bool = True
) -> plot.ChartOptions:
    """Return the options of the run's charts, which give all of them the same x axis."""
    return plot.ChartOptions(
        planned=x.x(planned(run)),
        newest=x.x(_reach(run) if view.unit != "time" else run.step),
        unit=view.unit,
        window=None if view.window is None else (x.x(view.window.first), x.x(view.window.last)),
        cursor=None if view.cursor is None else x.x(view.cursor),
        half_life=view.smoothing(live_window(run)),
        full_range=view.full_range,
        log_y=view.log_y if may_be_log else False,
        has_colour=view.has_colour,
    )


def planned(run: Snapshot) -> int:
    """Return the last step of the run as planned, or its present one where that is unknown."""
    return planned_steps(run) or max(1, run.step)


def _reach(run: Snapshot) -> int:
    """Return the last step trained on any take."""
    return max([run.step, *(segment.last for segment in run.lineage.abandoned)])
