"""Floats in strict JSON: NaN and the infinities, which JSON lacks, are written as strings."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

_FROM_NAME = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def is_positive(value: object) -> bool:
    """Return whether it is a finite number above zero; a bool is not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return 0 < float(value) < math.inf
    except OverflowError:
        return False


def to_strict(value: Any) -> Any:
    """Return `value` with every non-finite float in it replaced by "nan", "inf" or "-inf".

    Tuples become lists, and dataclasses mappings from the names of their fields.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(key): to_strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_strict(item) for item in value]
    if is_dataclass(value):
        names = _fields(type(value))  # type: ignore[arg-type]  # classes are hashable
        return {name: to_strict(getattr(value, name)) for name in names}
    return value


@cache
def _fields(made: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(made))


def from_strict(value: float | str) -> float:
    """Return the float that `to_strict` was given; KeyError for another string."""
    return _FROM_NAME[value] if isinstance(value, str) else float(value)


def rounded(numbers: Iterable[float]) -> list[float]:
    """Return numbers with six digits: enough for a screen, in a third of the space."""
    return [float(f"{number:.6g}") for number in numbers]
