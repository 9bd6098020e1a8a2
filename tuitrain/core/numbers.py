"""Floats through strict JSON: the three that JSON lacks travel as strings."""

from __future__ import annotations

import math
from typing import Any

_FROM_NAME = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def to_strict(value: Any) -> Any:
    """Return `value` with every non-finite float in it replaced by "nan", "inf" or "-inf"."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): to_strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_strict(item) for item in value]
    return value


def from_strict(value: float | str) -> float:
    """Return the float that `to_strict` was given."""
    return _FROM_NAME[value] if isinstance(value, str) else float(value)
