"""Named scalars that a run records, by step or by epoch.

Every recorded series gets roll-ups, a chart, a comparison and an export.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

LONGEST_NAME, LONGEST_UNIT = 100, 20

Name = Annotated[str, lambda name: 0 < len(name) <= LONGEST_NAME]
Unit = Annotated[str, lambda unit: len(unit) <= LONGEST_UNIT]


@dataclass(frozen=True, slots=True)
class Series:
    """A scalar by its name, which no other series of the run has."""

    name: Name
    unit: Unit = ""
    """Empty for a ratio, or if unknown."""
    per: Literal["step", "epoch"] = "step"
    """What each value belongs to: a step, or an epoch that ended there."""


LR = Series("lr")
"""The learning rate of each step; the record has it in the rows of its batches."""
GRADIENT_NORM = Series("gradient-norm")
"""The 2-norm of all gradients together, before they are clipped."""
TRAINER_CPU = Series("trainer-cpu", "%")
"""Percent of one core; more than 100 with several busy threads."""
TRAINER_MEMORY = Series("trainer-memory", "MB")
"""Resident, in 10^6 bytes."""

SHARES = {
    part: Series(f"share-{part.replace('_', '-')}")
    for part in ("data", "zero_grad", "forward", "loss", "backward", "step")
}
"""The share of the time that each of the five steps takes, and waiting for data; together 1."""
