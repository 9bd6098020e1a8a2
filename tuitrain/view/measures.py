"""The numbers of a validation that compare across swaps of the loss: metrics, and every loss's.

Each validation's outputs are judged by all losses that fit, not by the one in use alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tuitrain.core import catalog
from tuitrain.core.catalog import Kind
from tuitrain.core.errors import UnknownName
from tuitrain.core.events import EpochEnded
from tuitrain.store.reader import Judged


class Measure(NamedTuple):
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


def _metrics(**signs: int) -> tuple[Measure, ...]:
    return tuple(Measure(name, "metrics", sign) for name, sign in signs.items())


_OF_CLASSES = _metrics(accuracy=1, f1_macro=1, auroc=1)
METRICS: Mapping[Kind, tuple[Measure, ...]] = {
    "multiclass": _OF_CLASSES,
    "binary": _OF_CLASSES,
    "regression": _metrics(rmse=-1, mae=-1, r2=1),
}
"""The leading one first."""


def losses(kind: Kind) -> list[Measure]:
    """Return what each loss that fits makes of a validation, the usual one first."""
    return [Measure(loss.name, "val_losses", -1) for loss in catalog.fitting_losses(kind)]


def measures(kind: Kind) -> list[Measure]:
    """Return all that compares, metrics before losses."""
    return [*METRICS[kind], *losses(kind)]


def named(name: str, among: Iterable[Measure]) -> Measure:
    """Return the measure of that name, a loss by its other names too; UnknownName for none."""
    known = list(among)
    for each in known:
        if name == each.name or name in _aliases(each):
            return each
    raise UnknownName("metric", name, [each.name for each in known])


def _aliases(measure: Measure) -> tuple[str, ...]:
    return catalog.loss_named(measure.name).aliases if measure.part == "val_losses" else ()
