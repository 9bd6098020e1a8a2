"""Maps of the steps of a run to an axis of epochs or of samples, without reading its record."""

from __future__ import annotations

from typing import NamedTuple

from tuitrain.core.events import RunStarted, SettingChanged
from tuitrain.history.lineage import Lineage
from tuitrain.view.chart.x_axis import STEPS, UNITS, XMap, XUnit
from tuitrain.view.state.snapshot import Snapshot


class _Uniform(NamedTuple):
    """From a step on, at so many epochs, each epoch has the same number of steps."""

    step: int
    epoch: float
    steps_per_epoch: int

    def epoch_at(self, step: float) -> float:
        return self.epoch + (step - self.step) / self.steps_per_epoch


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
    if not run.is_watched:
        started = (event for event in run.lineage.events if isinstance(event, RunStarted))
        first = next((event.steps_per_epoch for event in started), 0)
        spans = _spans(run.lineage, take, first) if first else []
        return _through([(span.step, span.epoch) for span in spans], spans[-1]) if spans else None
    ends = [(epoch.step, float(epoch.epoch)) for epoch in run.epochs]
    if not ends or not run.steps_per_epoch:
        return None
    last = _Uniform(ends[-1][0], ends[-1][1], run.steps_per_epoch)
    return _through([(0, 0.0), *ends] if ends[0][0] > 0 else ends, last)


def _through(knots: list[tuple[int, float]], last: _Uniform) -> XMap:
    return XMap((*knots, (last.step + last.steps_per_epoch, last.epoch + 1)))


def _spans(lineage: Lineage, take: int, steps_per_epoch: int) -> list[_Uniform]:
    """Return where the length of an epoch changes: it begins with a take, and with a batch size."""
    opening = lineage.openings.get(take)
    if opening is None or opening.origin_take >= take:
        spans = [_Uniform(lineage.step, lineage.epoch, steps_per_epoch)]
    else:
        earlier = _spans(lineage, opening.origin_take, steps_per_epoch)
        spans = [earlier[0], *(span for span in earlier[1:] if span.step < opening.step)]
        epoch = spans[-1].epoch_at(opening.step)
        spans.append(_Uniform(opening.step, epoch, opening.steps_per_epoch or steps_per_epoch))
    changes = (event for event in lineage.events if isinstance(event, SettingChanged))
    return spans + [
        _Uniform(change.step, change.epoch, change.steps_per_epoch)
        for change in changes
        if change.take == take and change.setting == "batch-size" and change.steps_per_epoch
    ]
