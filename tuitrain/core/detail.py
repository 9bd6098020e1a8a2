"""Names and types of details: data of a step that is read only on demand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

CONFUSION = "confusion"
"""The confusion matrix of a validation."""

_Row = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Number of samples by true class (row) and predicted class (column)."""

    counts: Annotated[tuple[_Row, ...], lambda rows: all(len(row) == len(rows) for row in rows)]
