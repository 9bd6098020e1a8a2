"""The built-in losses: functions of a model's outputs, the targets, and the problem kind.

A model always returns logits or numbers. Each loss converts them as it needs:

| kind       | prediction            | target                |
|------------|-----------------------|-----------------------|
| multiclass | logits (N, C) float   | classes (N,) int64    |
| binary     | logits (N, 1) float   | 0 or 1, (N,) float    |
| multilabel | logits (N, C) float   | 0 or 1, (N, C) float  |
| regression | numbers (N, 1) float  | numbers (N,) float    |

Each returns a scalar, the mean over the batch; `weight`, if given, has the weight of each class,
(C,) float, for binary (2,). An exported program contains a copy of the functions that it needs, so
they use only torch and one another. Those for regression alone are in `regression_losses`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from tuitrain.catalog import loss_named
from tuitrain.catalog.choice import Choice
from tuitrain.core.errors import Refused
from tuitrain.core.problem import Kind

Criterion = Callable[[Tensor, Tensor], Tensor]


def criterion_for(loss: str, kind: str | None, class_weights: Tensor | None = None) -> Criterion:
    """Return the criterion of a loss for a problem kind; Refused if the loss does not fit it."""
    choice = Choice.read("loss", loss)
    entry = loss_named(choice.name)
    if kind not in entry.takes:
        raise Refused(entry.why_not(kind))
    arguments = entry.arguments(choice.options, kind)
    if class_weights is not None:
        arguments["weight"] = class_weights
    return partial(entry.load(), **arguments)


def cross_entropy(
    logits: Tensor, target: Tensor, *, kind: Kind, label_smoothing: float,
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return -log softmax(z)[y]; a binary logit z is used as the two logits (0, z)."""
    if kind == "binary":
        logits, target = logits.reshape(-1, 1), target.long()
        logits = torch.cat((torch.zeros_like(logits), logits), dim=1)
    return functional.cross_entropy(logits, target, weight, label_smoothing=label_smoothing)


def nll(logits: Tensor, target: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Return -log p[y] of log-probabilities; log_softmax leaves those of a model as they are."""
    return functional.nll_loss(logits.log_softmax(dim=1), target, weight)


def bce_with_logits(
    logits: Tensor, target: Tensor, *, kind: Kind, pos_weight: float,
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return the mean binary cross-entropy of sigmoid(z) and 0 or 1, also over the classes.

    Of two class weights, the ratio is the weight of the positive class.
    """
    # created on the device: a copy from the host would synchronise
    positive = None if pos_weight == 1 else logits.new_full((), pos_weight)
    if kind != "multiclass":
        if weight is not None:
            positive = pos_weight * weight[1] / weight[0]
        return functional.binary_cross_entropy_with_logits(
            logits.flatten(), target.flatten(), pos_weight=positive
        )
    one_hot = functional.one_hot(target, logits.shape[1]).to(logits.dtype)
    loss = partial(functional.binary_cross_entropy_with_logits, pos_weight=positive)
    return averaged(loss, logits, one_hot, weight=weight, classes=target)


def focal(
    logits: Tensor, target: Tensor, *, kind: Kind, gamma: float, alpha: float = 0.5,
    weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Return the mean of (1 - p)^gamma (-log p), where p is the probability of the true class.

    For 0 or 1, alpha is the weight of 1, and 1 - alpha that of 0. It is not torchvision's
    sigmoid_focal_loss because the gradient must be finite where a sample is certain, at any gamma.
    """
    if kind == "multiclass":
        losses = functional.cross_entropy(logits, target, reduction="none")
    else:
        logits, target = logits.flatten(), target.flatten()
        losses = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    # at exactly 0, the gradient of a power below 1 would be infinite
    losses = losses * (-torch.expm1(-losses)).clamp_min(1e-8) ** gamma
    if kind != "multiclass":
        losses = losses * (alpha * target + (1 - alpha) * (1 - target))
    return losses.mean() if weight is None else weighted_mean(losses, target, weight)


def multi_margin(
    logits: Tensor, target: Tensor, *, p: int, margin: float, weight: Tensor | None = None
) -> Tensor:
    """Return the mean over samples of the sum over j of max(0, margin - z[y] + z[j])^p, over C.

    As in PyTorch, weights of classes multiply, and the sum is divided by the number of samples.
    """
    return functional.multi_margin_loss(logits, target, p=p, margin=margin, weight=weight)


def hinge(logits: Tensor, target: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Return the mean of max(0, 1 - s z), where s is -1 for the target 0."""
    losses = functional.relu(1 - (2 * target - 1) * logits.flatten())
    return losses.mean() if weight is None else weighted_mean(losses, target, weight)


def soft_margin(logits: Tensor, target: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Return the mean of log(1 + exp(-s z)), where s is -1 for the target 0."""
    signs, loss = 2 * target - 1, functional.soft_margin_loss
    return averaged(loss, logits.flatten(), signs, weight=weight, classes=target)


def multilabel_soft_margin(logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean over samples and labels of log(1 + exp(-s z)), where s is -1 for 0."""
    return functional.multilabel_soft_margin_loss(logits, target)


def brier(
    prediction: Tensor, target: Tensor, *, kind: Kind, weight: Tensor | None = None
) -> Tensor:
    """Return the mean squared error of the probabilities; for multiclass, summed over classes."""
    probabilities, true = as_numbers(prediction, target, kind)
    losses = (probabilities - true).square()
    if kind == "multiclass":
        losses = losses.sum(dim=1)
    return losses.mean() if weight is None else weighted_mean(losses, target, weight)


def mse(prediction: Tensor, target: Tensor, *, kind: Kind, weight: Tensor | None = None) -> Tensor:
    """Return the mean squared error; for classes, between probabilities and one-hot targets."""
    numbers = as_numbers(prediction, target, kind)
    return averaged(functional.mse_loss, *numbers, weight=weight, classes=target)


def l1(prediction: Tensor, target: Tensor, *, kind: Kind, weight: Tensor | None = None) -> Tensor:
    """Return the mean absolute error; for classes, between probabilities and one-hot targets."""
    numbers = as_numbers(prediction, target, kind)
    return averaged(functional.l1_loss, *numbers, weight=weight, classes=target)


def averaged(
    loss: Callable[..., Tensor], prediction: Tensor, target: Tensor, *,
    weight: Tensor | None, classes: Tensor,
) -> Tensor:  # fmt: skip
    """Return PyTorch's mean of a loss, or with weights that of `weighted_mean`, by `classes`."""
    if weight is None:
        return loss(prediction, target)
    return weighted_mean(loss(prediction, target, reduction="none"), classes, weight)


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
    return prediction if kind == "regression" else prediction.sigmoid(), target.flatten()
