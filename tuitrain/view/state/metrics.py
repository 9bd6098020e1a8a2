"""The numbers of a validation that compare across swaps of the loss: metrics, and every loss's.

Each validation's outputs are judged by all losses that fit, not by the one in use alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tuitrain.core import catalog
from tuitrain.core.errors import UnknownName
from tuitrain.core.events import EpochEnded
from tuitrain.core.problem import Problem
from tuitrain.store.reader import Judged


class ComparableMetric(NamedTuple):
    """One of these numbers."""

    name: str
    part: Judged
    sign: int
    """1 if more is better, -1 if less is."""

    def of(self, epoch: EpochEnded) -> float | None:
        """Return its value at an epoch's end; None where nobody took it."""
        found: Mapping[str, float] = getattr(epoch, self.part)
        return found.get(self.name)

    def points(self, epochs: Iterable[EpochEnded], x: str = "step") -> list[tuple[float, float]]:
        """Return (step or epoch, value) of those that have one."""
        pairs = ((getattr(each, x), self.of(each)) for each in epochs)
        return [(at, value) for at, value in pairs if value is not None]


def comparable_metrics(problem: Problem) -> list[ComparableMetric]:
    """Return all that compares: metrics, then what each loss that fits makes of a validation."""
    return [
        *(ComparableMetric(metric.name, "metrics", metric.sign) for metric in problem.metrics),
        *(ComparableMetric(loss, "val_losses", -1) for loss in problem.losses),
    ]


def named(
    name: str, among: Iterable[ComparableMetric], series: Iterable[str] = ()
) -> ComparableMetric | str:
    """Return the measure of that name, a loss by its other names too, or else the series.

    Raises UnknownName, which lists both, for none.
    """
    known, others = list(among), list(series)
    for each in known:
        if name == each.name or name in _aliases(each):
            return each
    if name in others:
        return name
    raise UnknownName("metric", name, [*(each.name for each in known), *others])


def _aliases(measure: ComparableMetric) -> tuple[str, ...]:
    """Return the other names of a loss, if it is one that comes with this program."""
    known = catalog.LOSSES.get(measure.name) if measure.part == "val_losses" else None
    return known.aliases if known else ()
