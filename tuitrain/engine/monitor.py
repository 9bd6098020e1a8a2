"""The one quantity that decides which epoch is best, what is kept, and when patience ends."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from tuitrain.core.errors import UnknownName
from tuitrain.core.problem import Problem

VALIDATION_LOSS = "val_loss"


class Monitored(NamedTuple):
    """A metric, or the validation value of a loss."""

    name: str
    sign: int
    """1 if higher is better, -1 if lower is."""
    is_loss: bool = False


def monitored(name: str | None, problem: Problem, loss: str) -> Monitored:
    """Return what `--monitor` names, by default the first metric of the problem.

    `val_loss` is the value of `loss`, with which the run begins, also after a swap: values of
    different losses are not comparable. Raises UnknownName.
    """
    metrics = {metric.name: metric for metric in problem.metrics}
    if name is None and metrics:
        name = problem.metrics[0].name
    if name in metrics:
        return Monitored(name, metrics[name].sign)
    if name in (None, VALIDATION_LOSS):
        return Monitored(loss, -1, is_loss=True)
    if name in (loss, *problem.losses):
        return Monitored(name, -1, is_loss=True)
    raise UnknownName("metric", name, [*metrics, VALIDATION_LOSS, *problem.losses])


def is_better(value: float, best: float, sign: int) -> bool:
    """Return whether a value is better than the best so far, which is NaN at first.

    One that is not finite never is.
    `sign` is 1 if higher is better, and -1 if lower is.
    """
    return math.isfinite(value) and not sign * value <= sign * best


class Monitor:
    """Compares the epochs of a run; ends it after `patience` epochs without an improvement."""

    def __init__(self, quantity: Monitored, patience: int | None = None) -> None:
        self.quantity, self.patience = quantity, patience
        self.best, self.waited = math.nan, 0

    @property
    def is_out_of_patience(self) -> bool:
        return self.patience is not None and self.waited >= self.patience

    def improved_by(
        self, metrics: Mapping[str, float], val_losses: Mapping[str, float], val_loss: float = 0.0
    ) -> bool:
        """Take an epoch's values and return whether it is the best so far.

        One whose value or `val_loss`, by the loss in use, is not finite never is.
        """
        value, sign = self.value(metrics, val_losses), self.quantity.sign
        if not math.isfinite(val_loss) or not is_better(value, self.best, sign):
            self.waited += 1
            return False
        self.best, self.waited = value, 0
        return True

    def value(self, metrics: Mapping[str, float], val_losses: Mapping[str, float]) -> float:
        """Return the monitored one of an epoch's values; NaN if it is not among them."""
        values = val_losses if self.quantity.is_loss else metrics
        return values.get(self.quantity.name, math.nan)

    def reset(self) -> None:
        """Forget the epochs so far."""
        self.best, self.waited = math.nan, 0

    def state(self) -> tuple[float, int]:
        """Return what `restore` takes."""
        return self.best, self.waited

    def restore(self, best: float, waited: int) -> None:
        """Continue from a state."""
        self.best, self.waited = best, waited
