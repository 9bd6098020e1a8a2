"""The built-in losses: each returns a criterion, (prediction, target) → scalar, for a problem.

A model always returns logits; what else a loss wants, its adapter makes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from tuitrain.core.catalog import Kind, loss_named, read_options
from tuitrain.core.errors import Refused
from tuitrain.core.spec import Choice

Criterion = Callable[[Tensor, Tensor], Tensor]


def criterion_for(loss: str, kind: Kind) -> Criterion:
    """Return the criterion of a loss on a problem; Refused where the two do not fit."""
    choice = Choice.read("loss", loss)
    entry = loss_named(choice.name)
    if kind not in entry.kinds:
        raise Refused(f"{entry.name} is for {', '.join(entry.kinds)} problems, this is {kind}")
    made: Criterion = entry.load()(kind, **read_options(entry, choice.options))
    return made


def cross_entropy(_kind: Kind) -> Criterion:
    """Return -log softmax(z)[y], the mean over the batch; z (N, C) float, y (N,) int64."""
    return functional.cross_entropy


def mse(_kind: Kind) -> Criterion:
    """Return the mean squared error; of classes, between softmax(z) and one-hot(y), both (N, C)."""

    def on_probabilities(logits: Tensor, target: Tensor) -> Tensor:
        wanted = functional.one_hot(target, logits.shape[1]).to(logits.dtype)
        return functional.mse_loss(torch.softmax(logits, dim=1), wanted)

    return on_probabilities
