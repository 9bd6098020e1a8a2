"""The built-in losses: functions of a model's outputs, the targets, and the problem kind.

A model always returns logits or numbers. Each loss converts them as it needs:

| kind       | prediction            | target                |
|------------|-----------------------|-----------------------|
| multiclass | logits (N, C) float   | classes (N,) int64    |
| binary     | logits (N, 1) float   | 0 or 1, (N,) float    |
| regression | numbers (N, 1) float  | numbers (N,) float    |

Each returns a scalar, the mean over the batch; `weight`, if given, has the weight of each class,
(C,) float, for binary (2,). An exported program contains a copy of the functions that it needs, so
they use only torch and one another.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from tuitrain.catalog import Kind, loss_named, read_options
from tuitrain.catalog.choice import Choice
from tuitrain.core.errors import Refused

Criterion = Callable[[Tensor, Tensor], Tensor]


def criterion_for(loss: str, kind: str | None, class_weights: Tensor | None = None) -> Criterion:
    """Return the criterion of a loss for a problem kind; Refused if the loss does not fit it."""
    choice = Choice.read("loss", loss)
    entry = loss_named(choice.name)
    if kind not in entry.takes:
        raise Refused(entry.why_not(kind))
    options = read_options(entry, choice.options)
    if class_weights is not None:
        options["weight"] = class_weights
    return partial(entry.load(), kind=kind, **options)


def cross_entropy(
    logits: Tensor, target: Tensor, *, kind: Kind, label_smoothing: float,
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return -log softmax(z)[y]; a binary logit z is used as the two logits (0, z)."""
    if kind == "binary":
        logits, target = logits.reshape(-1, 1), target.long()
        logits = torch.cat((torch.zeros_like(logits), logits), dim=1)
    return functional.cross_entropy(logits, target, weight, label_smoothing=label_smoothing)


def bce_with_logits(
    logits: Tensor, target: Tensor, *, kind: Kind, pos_weight: float,
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return the binary cross-entropy of sigmoid(z), for multiclass the mean over the classes.

    Of two class weights, the ratio is the weight of the positive class.
    """
    # created on the device: a copy from the host would synchronise
    positive = None if pos_weight == 1 else logits.new_full((), pos_weight)
    if kind == "binary":
        if weight is not None:
            positive = pos_weight * weight[1] / weight[0]
        return functional.binary_cross_entropy_with_logits(
            logits.flatten(), target, pos_weight=positive
        )
    one_hot = functional.one_hot(target, logits.shape[1]).to(logits.dtype)
    if weight is None:
        return functional.binary_cross_entropy_with_logits(logits, one_hot, pos_weight=positive)
    losses = functional.binary_cross_entropy_with_logits(
        logits, one_hot, pos_weight=positive, reduction="none"
    )
    return weighted_mean(losses, target, weight)


def mse(prediction: Tensor, target: Tensor, *, kind: Kind, weight: Tensor | None = None) -> Tensor:
    """Return the mean squared error; for classes, between probabilities and one-hot targets."""
    numbers = as_numbers(prediction, target, kind)
    if weight is None:
        return functional.mse_loss(*numbers)
    return weighted_mean(functional.mse_loss(*numbers, reduction="none"), target, weight)


def l1(prediction: Tensor, target: Tensor, *, kind: Kind, weight: Tensor | None = None) -> Tensor:
    """Return the mean absolute error; for classes, between probabilities and one-hot targets."""
    numbers = as_numbers(prediction, target, kind)
    if weight is None:
        return functional.l1_loss(*numbers)
    return weighted_mean(functional.l1_loss(*numbers, reduction="none"), target, weight)


def weighted_mean(losses: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the mean of losses (N, ...) in which each sample has the weight of its class.

    It is divided by the sum of the weights, as PyTorch's cross-entropy is.
    """
    weights = weight[target.long()]
    losses = losses.reshape(len(weights), -1).mean(dim=1)
    return (losses * weights).sum() / weights.sum()


def as_numbers(prediction: Tensor, target: Tensor, kind: Kind) -> tuple[Tensor, Tensor]:
    """Return probabilities and their targets; for regression, the predictions and targets."""
    if kind == "multiclass":
        one_hot = functional.one_hot(target, prediction.shape[1]).to(prediction.dtype)
        return prediction.softmax(dim=1), one_hot
    prediction = prediction.flatten()
    return prediction.sigmoid() if kind == "binary" else prediction, target
