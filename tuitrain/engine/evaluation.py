"""The metrics of a run: those of its problem kind, and the user's own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
from torch import Tensor

from tuitrain.catalog import metrics_for
from tuitrain.core.errors import WrongUse
from tuitrain.core.problem import Direction, Metric
from tuitrain.engine.metrics import Evaluation, evaluate
from tuitrain.engine.user_errors import failing_as


class Metrics:
    """Evaluates a validation."""

    def __init__(
        self,
        kind: str | None,
        classes: int,
        own: Mapping[str, Any] | None = None,
        *,
        unit: str = "",
    ) -> None:
        """`unit` is the name of the target's unit, if it is known."""
        self._kind = kind
        self._own = {name: _function(value) for name, value in (own or {}).items()}
        directions = {name: _direction(name, value) for name, value in (own or {}).items()}
        built_in = metrics_for(kind, classes, unit)
        self.described = (
            *(metric for metric in built_in if metric.name not in self._own),
            *(Metric(name, direction) for name, direction in directions.items()),
        )
        """Those of a validation, in order."""
        self.own_names = tuple(self._own)

    def evaluate(self, output: Tensor, target: Tensor, *, unit: float = 1.0) -> Evaluation:
        """Return the metrics of a whole validation; `unit` is as `metrics.evaluate` has it."""
        built_in = evaluate(self._kind, output, target, unit=unit)
        own = {}
        for name, function in self._own.items():
            with failing_as(f"the metric {name}", function):
                own[name] = value_of(function, output, target)
        return Evaluation({**built_in.metrics, **own}, built_in.confusion)


def value_of(function: Any, output: Tensor, target: Tensor) -> float:
    """Return the value of an own metric; WrongUse if it is no number."""
    if hasattr(function, "update") and hasattr(function, "compute"):
        function.reset()
        function.to(output.device).update(output, target)
        value = function.compute()
    else:
        value = function(output, target)
    if isinstance(value, Real):  # also numpy's numbers
        return float(value)
    if isinstance(value, Tensor | np.ndarray) and math.prod(value.shape) == 1:
        return float(value.item())
    shape = f" of shape {tuple(value.shape)}" if isinstance(value, Tensor | np.ndarray) else ""
    raise WrongUse(f"it returns {type(value).__name__}{shape}, not one number")


def _function(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and len(value) == 2 else value


def _direction(name: str, value: Any) -> Direction:
    if isinstance(value, tuple):
        if len(value) != 2 or value[1] not in ("min", "max"):
            raise WrongUse(f'the metric {name} is a function, or a pair (function, "min")')
        direction: Direction = value[1]
        return direction
    return "min" if getattr(value, "higher_is_better", None) is False else "max"
