"""The built-in losses: functions of a model's outputs, the targets, and the problem kind.

A model always returns logits or numbers. Each loss converts them as it needs:

| kind       | prediction            | target                |
|------------|-----------------------|-----------------------|
| multiclass | logits (N, C) float   | classes (N,) int64    |
| binary     | logits (N, 1) float   | 0 or 1, (N,) float    |
| regression | numbers (N, 1) float  | numbers (N,) float    |

Each returns a scalar, the mean over the batch. An exported program contains a copy of the functions
that it needs, so they use only torch and one another.
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


def criterion_for(loss: str, kind: str | None) -> Criterion:
    """Return the criterion of a loss for a problem kind; Refused if the loss does not fit it."""
    choice = Choice.read("loss", loss)
    entry = loss_named(choice.name)
    if kind not in entry.takes:
        raise Refused(entry.why_not(kind))
    return partial(entry.load(), kind=kind, **read_options(entry, choice.options))


def cross_entropy(logits: Tensor, target: Tensor, *, kind: Kind, label_smoothing: float) -> Tensor:
    """Return -log softmax(z)[y]; a binary logit z is used as the two logits (0, z)."""
    if kind == "binary":
        logits, target = logits.reshape(-1, 1), target.long()
        logits = torch.cat((torch.zeros_like(logits), logits), dim=1)
    return functional.cross_entropy(logits, target, label_smoothing=label_smoothing)


def bce_with_logits(logits: Tensor, target: Tensor, *, kind: Kind, pos_weight: float) -> Tensor:
    """Return the binary cross-entropy of sigmoid(z), for multiclass the mean over the classes."""
    if kind == "multiclass":
        target = functional.one_hot(target, logits.shape[1]).to(logits.dtype)
    else:
        logits = logits.flatten()
    # created on the device: a copy from the host would synchronise
    weight = None if pos_weight == 1 else logits.new_full((), pos_weight)
    return functional.binary_cross_entropy_with_logits(logits, target, pos_weight=weight)


def mse(prediction: Tensor, target: Tensor, *, kind: Kind) -> Tensor:
    """Return the mean squared error; for classes, between probabilities and one-hot targets."""
    return functional.mse_loss(*as_numbers(prediction, target, kind))


def l1(prediction: Tensor, target: Tensor, *, kind: Kind) -> Tensor:
    """Return the mean absolute error; for classes, between probabilities and one-hot targets."""
    return functional.l1_loss(*as_numbers(prediction, target, kind))


def as_numbers(prediction: Tensor, target: Tensor, kind: Kind) -> tuple[Tensor, Tensor]:
    """Return probabilities and their targets; for regression, the predictions and targets."""
    if kind == "multiclass":
        one_hot = functional.one_hot(target, prediction.shape[1]).to(prediction.dtype)
        return prediction.softmax(dim=1), one_hot
    prediction = prediction.flatten()
    return prediction.sigmoid() if kind == "binary" else prediction, target
