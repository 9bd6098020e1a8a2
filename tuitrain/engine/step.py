"""The five steps that every training of a neural network repeats."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor
from torch.nn import Parameter

from tuitrain.core.events import BatchDone
from tuitrain.engine.training import Training


def zero_grad(weights: Iterable[Parameter]) -> None:
    """Forget the gradients of the last batch.

    As `optimizer.zero_grad()`, without the profiler's hook around it: 0.5 instead of 12 µs.
    """
    for each in weights:
        each.grad = None


def train_step(run: Training, data: Tensor, target: Tensor, began: Any) -> BatchDone:
    """Train on one batch and say what came of it; `began` is the mark from before it was fetched.

    Data and target are on the device already. Nothing here reads a value from there: that would
    make it wait at every batch.
    """
    mark = run.stopwatch.mark
    fetched = mark()
    zero_grad(run.weights)
    zeroed = mark()
    output = run.model(data)
    predicted = mark()
    loss = run.criterion(output, target)
    judged = mark()
    loss.backward()  # type: ignore[no-untyped-call]
    traced = mark()
    run.optimizer.step()
    stepped = mark()

    loss, samples = loss.detach(), target.shape[0]  # len() of a tensor takes ten times as long
    run.epoch_loss.add(loss, samples)
    run.step += 1
    run.batch += 1
    marks = (began, fetched, zeroed, predicted, judged, traced, stepped)
    return BatchDone(run.take, run.step, run.epoch + 1, loss, run.lr, samples, marks)
