"""The built-in losses that are for regression alone, as functions of predictions and targets.

Predictions are (N, 1) float, targets (N,) float; `tuitrain.engine.losses` has those that fit
classes, too. Each returns a scalar, the mean over the batch. An exported program contains copies.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def smooth_l1(prediction: Tensor, target: Tensor, *, beta: float) -> Tensor:
    """Return the mean of |e| - beta / 2, and of e^2 / (2 beta) where |e| < beta."""
    return functional.smooth_l1_loss(prediction.flatten(), target, beta=beta)


def huber(prediction: Tensor, target: Tensor, *, delta: float) -> Tensor:
    """Return the mean of delta (|e| - delta / 2), and of e^2 / 2 where |e| < delta."""
    return functional.huber_loss(prediction.flatten(), target, delta=delta)


def log_cosh(prediction: Tensor, target: Tensor) -> Tensor:
    """Return the mean of log cosh e."""
    errors = prediction.flatten() - target
    far = torch.logaddexp(errors, -errors) - math.log(2)  # cosh itself overflows
    # the difference cancels near 0; clamped, as sinh overflows and its gradient would be NaN
    near = torch.log1p(2 * torch.sinh(errors.clamp(-1, 1) / 2).square())
    return torch.where(errors.abs() < 1, near, far).mean()


def quantile(prediction: Tensor, target: Tensor, *, q: float) -> Tensor:
    """Return the mean of q (t - p) where the prediction p is too low, else of (1 - q) (p - t)."""
    too_low = target - prediction.flatten()
    return torch.maximum(q * too_low, (q - 1) * too_low).mean()


def poisson_nll(prediction: Tensor, target: Tensor, *, log_input: bool) -> Tensor:
    """Return the mean of exp(p) - t p, or with log_input=False of p - t log p.

    It is the negative log-likelihood up to a constant of the target.
    """
    return functional.poisson_nll_loss(prediction.flatten(), target, log_input=log_input)
