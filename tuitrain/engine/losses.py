"""The built-in losses: each returns a criterion, (prediction, target) → scalar, for a problem kind.

A model always returns logits or numbers; what else a loss wants, an adapter makes of them:

| kind       | prediction            | target                |
|------------|-----------------------|-----------------------|
| multiclass | logits (N, C) float   | classes (N,) int64    |
| binary     | logits (N, 1) float   | 0 or 1, (N,) float    |
| regression | numbers (N, 1) float  | numbers (N,) float    |
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from tuitrain.core.catalog import Kind, loss_named, read_options
from tuitrain.core.choice import Choice
from tuitrain.core.errors import Refused

Criterion = Callable[[Tensor, Tensor], Tensor]


def criterion_for(loss: str, kind: Kind) -> Criterion:
    """Return the criterion of a loss on a problem; Refused where the two do not fit."""
    choice = Choice.read("loss", loss)
    entry = loss_named(choice.name)
    if kind not in entry.takes:
        raise Refused(entry.why_not(kind))
    made: Criterion = entry.load()(kind, **read_options(entry, choice.options))
    return made


def cross_entropy(kind: Kind, label_smoothing: float) -> Criterion:
    """Return -log softmax(z)[y], the mean over the batch; one logit z stands for (0, z)."""
    distance = partial(functional.cross_entropy, label_smoothing=label_smoothing)
    if kind == "multiclass":
        return distance

    def of_two_classes(logits: Tensor, target: Tensor) -> Tensor:
        both = torch.cat((torch.zeros_like(logits), logits), dim=1)
        return distance(both, target.long())

    return of_two_classes


def bce_with_logits(kind: Kind, pos_weight: float) -> Criterion:
    """Return the binary cross-entropy of sigmoid(z); of C classes, the mean of C yes-or-no ones."""

    def distance(logits: Tensor, target: Tensor) -> Tensor:
        # made where the logits are: nothing is copied there, and nobody waits
        weight = None if pos_weight == 1 else logits.new_full((), pos_weight)
        return functional.binary_cross_entropy_with_logits(logits, target, pos_weight=weight)

    if kind == "multiclass":
        return lambda logits, target: distance(logits, _one_hot(logits, target))
    return lambda logits, target: distance(logits.squeeze(1), target)


def mse(kind: Kind) -> Criterion:
    """Return the mean squared error; of classes, between probabilities and one-hot targets."""
    return _between_numbers(kind, functional.mse_loss)


def l1(kind: Kind) -> Criterion:
    """Return the mean absolute error; of classes, between probabilities and one-hot targets."""
    return _between_numbers(kind, functional.l1_loss)


def _between_numbers(kind: Kind, distance: Criterion) -> Criterion:
    match kind:
        case "multiclass":
            return lambda logits, target: distance(
                torch.softmax(logits, dim=1), _one_hot(logits, target)
            )
        case "binary":
            return lambda logits, target: distance(torch.sigmoid(logits.squeeze(1)), target)
        case "regression":
            return lambda numbers, target: distance(numbers.squeeze(1), target)


def _one_hot(logits: Tensor, target: Tensor) -> Tensor:
    return functional.one_hot(target, logits.shape[1]).to(logits.dtype)
