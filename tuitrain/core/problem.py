"""What a run's numbers mean, as the run itself states it.

Whoever shows, compares or exports a run reads this, and never what happens to be installed: a run
of somebody's own data, or of a catalogue entry that is gone, is as good as any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["max", "min"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A number by which validations are compared."""

    name: str
    direction: Direction
    """Whether more of it is better, or less."""
    unit: str = ""
    """The target's own, where it is known."""

    @property
    def sign(self) -> int:
        """1 if more is better, -1 if less is."""
        return 1 if self.direction == "max" else -1


@dataclass(frozen=True, slots=True)
class Problem:
    """What is learned."""

    kind: str | None = None
    """multiclass, binary or regression; None where nobody can tell."""
    metrics: tuple[Metric, ...] = ()
    """Those of a validation, the first one first on every screen."""
    monitor: str = ""
    """The metric that decides which epoch is the best."""
    losses: tuple[str, ...] = ()
    """The losses that fit, the usual one first; each judges every validation."""
    classes: tuple[str, ...] = ()
    """Their names, in the order of their indices; of numbers, none."""
    input_shape: tuple[int, ...] = ()
    """Of one sample; empty where it is not known."""


@dataclass(frozen=True, slots=True)
class Card:
    """Where a run comes from, in words."""

    title: str = ""
    origin: Literal["task", "watch"] = "task"
