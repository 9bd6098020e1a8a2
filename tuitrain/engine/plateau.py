"""The plateau schedule: the learning rate falls while the monitor does not get better."""

from __future__ import annotations

import math
from typing import NamedTuple

_LEAST = 1e-4
"""The least improvement that counts, as a share of the best value."""
_LEAST_CHANGE = 1e-8
"""A change of the learning rate that is not greater is left out."""


class Plateau(NamedTuple):
    """The state of a plateau schedule: the best validation since it began, and the wait since.

    The rules are those of `torch.optim.lr_scheduler.ReduceLROnPlateau` with its defaults.
    """

    scale: float = 1.0
    """Multiplies the learning rate."""
    best: float = math.nan
    waited: int = 0
    """Epochs that were not better, one after the other."""

    def after(self, value: float, *, sign: int, lr: float, factor: float, patience: int) -> Plateau:
        """Return it after an epoch; `sign` is 1 if higher values are better, else -1.

        `lr` is the learning rate that `scale` multiplies.
        """
        if self._is_better(value, sign):
            return self._replace(best=value, waited=0)
        if self.waited < patience:
            return self._replace(waited=self.waited + 1)
        scale = self.scale * factor
        if lr * self.scale - lr * scale <= _LEAST_CHANGE:
            scale = self.scale
        return self._replace(scale=scale, waited=0)

    def _is_better(self, value: float, sign: int) -> bool:
        if math.isnan(self.best):
            return sign * value > -math.inf
        return sign * value > sign * self.best * (1 + sign * _LEAST)
