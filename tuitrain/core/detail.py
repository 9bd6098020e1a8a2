"""Names and types of details: data of a step that is read only on demand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

CONFUSION = "confusion"
"""The confusion matrix of a validation."""

LABELS = "labels"
"""How many samples of a validation have each label, and are given it."""

BATCH = "batch"
"""The newest batch, about once a second and at each pause."""

LOSS_CURVES = "loss-curves"
"""The losses as curves, at the start and whenever the loss changes."""

WORST = "worst-samples"
"""The samples of a validation that are most wrong, about once a second and at the end."""

SCORES = "scores"
"""The probabilities that a validation gave the right classes, as histograms."""

FIT = "fit"
"""The predicted numbers of a validation beside the true ones."""

SURFACE = "surface"
"""The outputs of a model all over its one or two inputs, about once a second and at the end."""

LINE_SEARCH = "line-search"
"""The loss along a step: that of a batch trained alone, or the last one of several."""

SAMPLE = "sample"
"""The samples of a batch trained alone that are most wrong, before and after the step."""

LAYERS = "layers"
"""Measurements of each layer, about once a second and at each single step."""

RATE_SWEEP = "rate-sweep"
"""A sweep of the learning rate, at the step after which it was made; anew while it goes on."""
SWEPT_RATES = 1e-6, 10.0
"""The least and the greatest learning rate of a sweep."""

RANKS = "ranks"
"""What each of several ranks does, about once a second."""

Axis = Literal["log-odds", "residual"]
"""Log-odds of the right class; residual: the prediction minus its target."""

_Row = tuple[int, ...]
_Shape = Annotated[str, lambda text: len(text) <= 200]
_Numbers = tuple[float, ...]
_Bytes = Annotated[str, re.compile("(?:[0-9a-f]{2}){1,256}").fullmatch]
"""Up to 256 numbers from 0 to 255, each as two hexadecimal digits."""
_Pixels = Annotated[str, re.compile("[0-9a-f]{0,1024}").fullmatch]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Number of samples by true class (row) and predicted class (column)."""

    counts: Annotated[tuple[_Row, ...], lambda rows: all(len(row) == len(rows) for row in rows)]


@dataclass(frozen=True, slots=True)
class Labels:
    """Of each label, how many samples have it and are given it, have it, and are given it."""

    counts: tuple[Annotated[_Row, lambda row: len(row) == 3], ...]


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


@dataclass(frozen=True, slots=True)
class Scores:
    """Number of samples by true class (row) and the probability of that class (column).

    The columns are of equal width, from 0 to 1.
    """

    counts: tuple[_Row, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """True and predicted numbers of a validation, in their own unit."""

    samples: int
    true: _Numbers
    """Of some samples, evenly chosen; so is `predicted`."""
    predicted: _Numbers
    mean: float
    """Of the residuals (predicted − true) of all samples."""
    median: float
    """Of their sizes."""
    limit: float
    """Residuals beyond it, on either side, are counted in the outermost bins."""
    counts: _Row
    """Number of residuals by bins of equal width, from −limit to limit."""


@dataclass(frozen=True, slots=True)
class Surface:
    """The outputs of a model at a grid of its one or two inputs, and some validation samples."""

    epoch: int
    low: _Numbers
    """The least value of each input, as the model is given it; `high` the greatest."""
    high: _Numbers
    inputs: tuple[_Numbers, ...]
    """Of some samples, evenly chosen; so are `targets` and `predicted`."""
    targets: _Numbers
    """Classes, or numbers in their own unit; so is `predicted`."""
    predicted: _Numbers
    curves: tuple[_Numbers, ...] = ()
    """Of one input: the number, or the probability of each class (binary: of class 1)."""
    levels: tuple[_Bytes, ...] = ()
    """Of two inputs, a row for each value of the second one from the least: a probability of the
    predicted class from 0 to 1, or a number in `span`."""
    classes: tuple[_Bytes, ...] = ()
    """The predicted classes at the same places; empty for a regression."""
    span: _Numbers = ()
    """The least and the greatest of the numbers."""


@dataclass(frozen=True, slots=True)
class LineSearch:
    """The loss of a batch at weights along the step that was taken on it."""

    places: _Numbers
    """In steps: 0 are the weights before the step, 1 those after it."""
    losses: _Numbers

    @property
    def by_place(self) -> dict[float, float]:
        """The losses by their places."""
        return dict(zip(self.places, self.losses, strict=True))

    @property
    def after(self) -> float:
        """The loss after the step."""
        return self.by_place[1.0]


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample of a batch, with the model's logits before and after the step on that batch."""

    number: int
    """Its place in the batch, from 0."""
    true: int
    """The index of its class."""
    before: _Numbers
    after: _Numbers
    width: int = 0
    pixels: _Pixels = ""
    """As those of a `WorstSample`."""
    gradient: _Numbers = ()
    """Of the loss of this sample by each logit, before the step; empty if it is not known."""


@dataclass(frozen=True, slots=True)
class WrongSamples(Sample):
    """The most wrong sample of a batch, and a few others that follow it."""

    others: tuple[Sample, ...] = ()

    @property
    def all(self) -> tuple[Sample, ...]:
        """All of them, the most wrong one first."""
        return (self, *self.others)


@dataclass(frozen=True, slots=True)
class Rank:
    """One of the processes that train a run together, over the last second or so."""

    host: _Shape
    device: _Shape
    batch_ms: float
    """Time from a batch to the next; the same for all, since each waits for all."""
    waited: float
    """The share of it in which it waited for the gradients of the others: that of the slowest is
    0. NaN on a GPU, whose work the host does not wait for."""
    memory_mb: float
    """Of its process, or of its tensors on its GPU."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """All ranks by number, and how often they agree on commands."""

    ranks: tuple[Rank, ...]
    every: int
    """Steps from one agreement to the next."""
