"""Names and types of details: data of a step that is read only on demand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

CONFUSION = "confusion"
"""The confusion matrix of a validation."""

BATCH = "batch"
"""The newest batch, about once a second and at each pause."""

LOSS_CURVES = "loss-curves"
"""The losses as curves, at the start and whenever the loss changes."""

WORST = "worst-samples"
"""The samples of a validation that are most wrong, about once a second."""

LAYERS = "layers"
"""What was measured of each layer, about once a second and at each single step."""

RATE_SWEEP = "rate-sweep"
"""A sweep of the learning rate, at the step after which it was made; anew while it goes on."""
SWEPT_RATES = 1e-6, 10.0
"""The least and the greatest learning rate of a sweep."""

Axis = Literal["log-odds", "residual"]
"""Log-odds of the right class; residual: the prediction minus its target."""

_Row = tuple[int, ...]
_Shape = Annotated[str, lambda text: len(text) <= 200]
_Pixels = Annotated[str, re.compile("[0-9a-f]{0,1024}").fullmatch]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Number of samples by true class (row) and predicted class (column)."""

    counts: Annotated[tuple[_Row, ...], lambda rows: all(len(row) == len(rows) for row in rows)]


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch: its shapes, the size of its gradient and of its step, and its first samples."""

    input: _Shape
    """Shape and dtype, such as (64, 1, 8, 8) float32; empty if it is not one tensor."""
    target: _Shape
    output: _Shape
    gradient_norm: float | None = None
    update_ratio: float | None = None
    """These two are None if they were not measured at this step."""
    losses: tuple[float, ...] = ()
    """The loss of each of the first samples alone."""
    places: tuple[float, ...] = ()
    """The place of each of these samples on the axis of the loss curves; empty without an axis."""


@dataclass(frozen=True, slots=True)
class LossCurve:
    """Value and slope of a loss at each place of its axis."""

    values: tuple[float, ...]
    slopes: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LossCurves:
    """Losses as functions of one prediction."""

    axis: Axis
    places: tuple[float, ...]
    curves: Mapping[str, LossCurve]


@dataclass(frozen=True, slots=True)
class WorstSample:
    """A validation sample with its prediction."""

    number: int
    """Its place among the validation samples, from 0."""
    true: float
    """The class, or the number in its own unit; so is `predicted`."""
    predicted: float
    score: float
    """The probability of the predicted class, or the size of the error in the number's unit."""
    width: int = 0
    pixels: _Pixels = ""
    """Rows of `width` pixels, a hexadecimal digit each, from dark to bright; empty for no image."""


@dataclass(frozen=True, slots=True)
class WorstSamples:
    """The worst samples of a validation, the worst first."""

    epoch: int
    samples: tuple[WorstSample, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """A module with weights of its own, at a step."""

    name: Annotated[str, lambda name: len(name) <= 200]
    gradient_norm: float
    """The 2-norm of the gradients of its weights together, as the optimizer took them."""
    update_ratio: float | None = None
    """The 2-norm of the change of its weights over that of the weights; None: not measured."""
    dead: float | None = None
    """The share of its units that a ReLU made 0 for the whole batch; None: no ReLU was seen."""
    units: int = 0
    """How many of them there are."""


@dataclass(frozen=True, slots=True)
class Layers:
    """The layers of a model, in its order."""

    layers: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class RateSweep:
    """The batches of a sweep of the learning rate, in order."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float | None = None
    """None while it goes on, and if the loss fell at no rate."""
