"""Maps of the steps of a run to an axis of epochs or of samples, without reading its record."""

from __future__ import annotations

from tuitrain.view.chart.x_axis import STEPS, UNITS, XMap, XUnit
from tuitrain.view.state.snapshot import Snapshot


def units_of(run: Snapshot) -> list[XUnit]:
    """Return the units that an x axis of the run can have."""
    return [unit for unit in UNITS if unit == "time" or map_of(run, unit, run.take) is not None]


def map_of(run: Snapshot, unit: XUnit, take: int) -> XMap | None:
    """Return the map of steps, epochs or samples in a take and those that led to it.

    None if the run has no such unit, as a watched script without epochs.
    """
    if unit == "step":
        return STEPS
    epochs = _epochs(run, take)
    if unit == "epoch":
        return epochs
    samples = run.started.train_samples if run.started else 0
    if epochs is not None and samples:
        return XMap(tuple((step, epoch * samples) for step, epoch in epochs.knots))
    if run.latest is not None and run.latest.samples:
        return XMap(((0.0, 0.0), (1.0, float(run.latest.samples))))
    return None


def _epochs(run: Snapshot, take: int) -> XMap | None:
    is_known = run.is_watched or take == run.take
    boundaries = run.epoch_boundaries if is_known else run.lineage.epoch_boundaries_of(take)
    if not boundaries.steps_per_epoch or (run.is_watched and not run.epochs):
        return None
    last = boundaries.spans[-1]
    knots = [(span.step, span.epoch) for span in boundaries.spans]
    return XMap((*knots, (last.begin(last.epoch + 1), last.epoch + 1)))
