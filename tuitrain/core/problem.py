"""The learning problem of a run, as the run records it: kind, metrics, losses, classes.

Code that displays, compares or exports a run reads this instead of the installed catalogue, so that
it works for custom data and for catalogue entries that no longer exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Direction = Literal["max", "min"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A validation metric."""

    name: str
    direction: Direction
    """Whether higher or lower is better."""

    @property
    def sign(self) -> int:
        """1 if higher is better, -1 if lower is."""
        return 1 if self.direction == "max" else -1


@dataclass(frozen=True, slots=True)
class Problem:
    """The learning problem of a run."""

    kind: str | None = None
    """multiclass, binary, multilabel or regression; None if unknown."""
    metrics: tuple[Metric, ...] = ()
    """The metrics of a validation, in the order in which screens show them."""
    monitor: str = ""
    """The metric that decides which epoch is the best."""
    losses: tuple[str, ...] = ()
    """The losses that fit, the default first."""
    classes: tuple[str, ...] = ()
    """Class names in the order of their indices; empty for regression."""
    input_shape: tuple[int, ...] = ()
    """The shape of one sample; empty if unknown."""
    own_losses: tuple[str, ...] = ()
    """Those of `losses` that are the user's, whatever the catalogue calls by their names."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """The names of losses by their other names, such as CrossEntropyLoss."""
    own_metrics: tuple[str, ...] = ()
    """Those of `metrics` that are the user's."""


@dataclass(frozen=True, slots=True)
class Card:
    """The data of a run, described for people."""

    title: str = ""
    """A line on the data; empty where the name of the task says it all."""
    notes: tuple[str, ...] = ()
    """Notes on the data, a line each: columns used, dropped and filled."""
