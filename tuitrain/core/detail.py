"""Details of a run that are read on demand, by their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

CONFUSION = "confusion"
"""Of a validation."""

_Row = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Number of samples by true class (row) and predicted class (column)."""

    counts: Annotated[tuple[_Row, ...], lambda rows: all(len(row) == len(rows) for row in rows)]
