"""Epochs of a watched loop: mean losses, validations, and numbers of the user's own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from tuitrain.core.events import EpochEnded, Measured
from tuitrain.core.safe import safe
from tuitrain.core.series import LONGEST_NAME, Series
from tuitrain.engine.monitor import is_better
from tuitrain.store.schema import BatchRow
from tuitrain.watcher.dynamo import is_real
from tuitrain.watcher.validations import Validations
from tuitrain.watcher.watched import Watched


class Epochs:
    """Gathers what belongs to an epoch until it is over."""

    def __init__(self, loop: Watched) -> None:
        self._loop = loop
        self.validations = Validations()
        self._logged: dict[str, tuple[int, Any]] = {}

    @property
    def is_over(self) -> bool:
        """Whether as many steps as the last epoch had are trained; the next may never begin."""
        return self._loop.batch >= self._loop.length > 0

    def rows(self, rows: Iterable[BatchRow]) -> None:
        """Add the losses of steps whose numbers were read; not of those that were left out."""
        if self._loop.on_nonfinite != "alert":
            rows = [row for row in rows if math.isfinite(row.loss)]
        self._loop.epoch_loss.add(rows)

    def ended(self) -> EpochEnded:
        """Return the end of the epoch, with the validation since its last step."""
        loop = self._loop
        losses = next(iter(self.validations.take()), {})
        loop.epoch += 1
        loop.length, loop.batch = loop.batch, 0
        train_loss = loop.epoch_loss.take()
        val_loss = losses.get(loop.loss_name, next(iter(losses.values()), None))
        loop.last_val_loss = val_loss or 0.0
        return EpochEnded(
            loop.take, loop.step, loop.epoch, loop.loss_name, train_loss, val_loss,
            self._metrics(), improved=self._improves(losses.get(loop.own_loss, math.nan)),
            val_losses=losses,
        )  # fmt: skip

    def validation(self) -> Measured | None:
        """Return the mean losses of a validation within an epoch as series; None without one."""
        name = self._loop.loss_name
        values = {
            Series("val-loss" if number == 1 else f"val-loss-{number}"):
                means.get(name, next(iter(means.values())))
            for number, means in enumerate(self.validations.take(), start=1)
        }  # fmt: skip
        return Measured(self._loop.take, self._loop.step, values) if values else None

    def log(self, values: Mapping[str, Any]) -> Measured | None:
        """Return the numbers among values, by name, as series; None if there is none."""
        numbers = {safe(name)[:LONGEST_NAME] or "value": _number(values[name]) for name in values}
        numbers = {name: number for name, number in numbers.items() if number is not None}
        for name, number in numbers.items():
            self._logged[name] = self._logged.get(name, (0, None))[0] + 1, number
        measured = {Series(name): number for name, number in numbers.items()}
        return Measured(self._loop.take, self._loop.step, measured) if measured else None

    def _metrics(self) -> dict[str, float]:
        """Return what was logged once in the epoch: more often, it is a series of its steps."""
        logged, self._logged = self._logged, {}
        return {name: float(number) for name, (count, number) in logged.items() if count == 1}

    def _improves(self, val_loss: float) -> bool:
        improves = is_better(val_loss, self._loop.best_val_loss, -1)
        if improves:
            self._loop.best_val_loss = val_loss
        return improves


def _number(value: Any) -> Any:
    """Return a number, or a scalar tensor that is still on an accelerator; None for anything else.

    Anything else is also what only other ranks could tell, as the scalar of a `DTensor`.
    """
    if isinstance(value, Tensor):
        is_one = value.numel() == 1 and is_real(value) and not value.is_complex()
        if not is_one or is_traceable_wrapper_subclass(value):
            return None
        value = value.detach()
    try:
        if not isinstance(value, Tensor) or value.is_cpu:
            return float(value)
        copy = value.clone().reshape(())
        return copy if copy.is_floating_point() else copy.double()  # among floats it is rounded
    except Exception:  # noqa: BLE001 - it is the script's, and may be of any class
        return None
