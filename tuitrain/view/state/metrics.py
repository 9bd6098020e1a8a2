"""Validation values that are comparable across loss swaps: metrics and losses.

A validation evaluates not only the loss in use, but also the usual one and those used before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from tuitrain.core.errors import UnknownName
from tuitrain.core.events import EpochEnded
from tuitrain.core.problem import Problem
from tuitrain.store.epoch_values import EpochPart, EpochValues
from tuitrain.view.state.snapshot import Snapshot

_FEW = 3


class ComparableMetric(NamedTuple):
    """A metric, or a validation loss under one fixed loss function."""

    name: str
    part: EpochPart
    sign: int
    """1 if more is better, -1 if less is."""

    @property
    def is_loss(self) -> bool:
        """Whether less is better, as of a loss: such values may span decades."""
        return self.sign < 0

    def of(self, epoch: EpochEnded) -> float | None:
        """Return the value at the end of an epoch; None if it was not evaluated."""
        values: Mapping[str, float] = getattr(epoch, self.part)
        return values.get(self.name)

    def points(
        self, validations: EpochValues, x: Literal["step", "epoch"] = "step"
    ) -> list[tuple[float, float]]:
        """Return (step or epoch, value) of each validation of the metric."""
        values = validations.get(self.part, {}).get(self.name, ())
        return [(getattr(value, x), value.value) for value in values]


def comparable_metrics(problem: Problem) -> list[ComparableMetric]:
    """Return the metrics, then the validation loss under each fitting loss."""
    return [
        *(ComparableMetric(metric.name, "metrics", metric.sign) for metric in problem.metrics),
        *(ComparableMetric(loss, "val_losses", -1) for loss in problem.losses),
    ]


def metrics_of(run: Snapshot) -> list[ComparableMetric]:
    """Return those of a run: its metrics, and the losses that it has evaluated, or will at first.

    Of a watched script, only what it has evaluated.
    """
    metrics = comparable_metrics(run.problem)
    evaluated = {*run.evaluated.metrics, *run.evaluated.losses}
    if not run.is_watched:
        evaluated |= {metric.name for metric in run.problem.metrics}
        evaluated |= {*run.problem.losses[:1], run.loss.partition(":")[0]}
    return [metric for metric in metrics if metric.name in evaluated]


def monitor_of(run: Snapshot) -> str:
    """Return the metric or loss by which epochs are compared; a dash if there is none."""
    if run.problem.monitor:
        return run.problem.monitor
    return next(iter(run.last_epoch.metrics), "–") if run.last_epoch else "–"


def monitored(run: Snapshot, epoch: EpochEnded | None) -> float | None:
    """Return the value of that metric, or of that loss, at the end of an epoch."""
    return {**epoch.val_losses, **epoch.metrics}.get(monitor_of(run)) if epoch else None


def brief(run: Snapshot, values: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics that fit on a line: the first few, the monitored one, a task's own."""
    usual = {metric.name for metric in run.problem.metrics} - {*run.problem.own_metrics}
    others = usual - {*list(values)[:_FEW], monitor_of(run)}
    return {name: value for name, value in values.items() if name not in others}


def named(
    name: str, among: Iterable[ComparableMetric], series: Iterable[str] = (),
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> ComparableMetric | str:  # fmt: skip
    """Return the metric or loss of that name or alias, or else the name of the series.

    Raises UnknownName, which lists all names, if there is none.
    """
    metrics, other_names = list(among), list(series)
    for metric in metrics:
        if metric.name in (name, aliases.get(name)):
            return metric
    if name in other_names:
        return name
    raise UnknownName("metric", name, [*(metric.name for metric in metrics), *other_names])
