"""Named scalars that a run records, by step or by epoch.

Every recorded series has rollups, a chart, a comparison and an export.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

LONGEST_NAME, LONGEST_UNIT = 100, 20

Name = Annotated[str, lambda name: 0 < len(name) <= LONGEST_NAME]
Unit = Annotated[str, lambda unit: len(unit) <= LONGEST_UNIT]


@dataclass(frozen=True, slots=True)
class Series:
    """A scalar with a name that is unique in its run."""

    name: Name
    unit: Unit = ""
    """Empty if the values have none, as ratios do, or if it is unknown."""
    per: Literal["step", "epoch"] = "step"
    """Whether each value belongs to a step, or to the epoch that ended at its step."""


LR = Series("lr")
"""The learning rate of each step; the record keeps it in the rows of its batches."""
GRADIENT_NORM = Series("gradient-norm")
"""The 2-norm of all gradients together, before clipping."""
UPDATE_RATIO = Series("update-ratio")
"""The 2-norm of a step's change of all weights together, over that of the weights before it."""
DEAD_UNITS = Series("dead-units")
"""The share of units that were 0 for a whole batch, in the layer with a ReLU that has most."""
TRAINER_CPU = Series("trainer-cpu", "%")
"""CPU time as a percentage of one core; above 100 with several busy threads."""
TRAINER_MEMORY = Series("trainer-memory", "MB")
"""Resident memory, in 10^6 bytes."""

GPU_USE = Series("gpu-use", "%")
"""Share of the last second or less in which the trainer's GPU did something, for any program."""
GPU_MEMORY = Series("gpu-memory", "MB")
"""Memory of that GPU in use, of any program, in 10^6 bytes."""
GPU_POWER = Series("gpu-power", "W")
GPU_TEMPERATURE = Series("gpu-temperature", "°C")

SHARES = {
    part: Series(f"share-{part.replace('_', '-')}")
    for part in ("data", "zero_grad", "forward", "loss", "backward", "step")
}
"""Fractions of the training time, 0 to 1, that sum to 1: waiting for data, and the five steps."""
