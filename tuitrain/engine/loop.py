"""The training loop, as a generator of events.

It opens no file, knows no screen and no clock but the one it is given: what it has to say it
yields, and whoever takes the events decides what becomes of them. Between two events everything
that a run is lies in its `Training`, so that it can be saved at any of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from tuitrain.core.events import BatchDone, EpochEnded, Event, Finished
from tuitrain.engine import metrics
from tuitrain.engine.metrics import RunningMean
from tuitrain.engine.steering import Steering
from tuitrain.engine.step import train_step
from tuitrain.engine.training import Training

_VALIDATION_BATCH = 1024


def train(run: Training, steering: Steering) -> Iterator[BatchDone | Event]:
    """Train `run` to its last epoch, or until it is told to stop."""
    yield from steering.at("epoch")
    while run.epoch < run.epochs and not steering.stopped:
        yield from train_epoch(run, steering)
        if not steering.stopped:
            yield validate(run)
            yield from steering.at("epoch")
    if not steering.stopped:
        yield Finished(run.take, run.step, run.epoch)
    yield from steering.farewell()


def train_epoch(run: Training, steering: Steering) -> Iterator[BatchDone | Event]:
    """Train what is left of the epoch in hand."""
    run.model.train()
    mark = run.stopwatch.mark
    began = mark()
    for data, target in run.batches():
        yield train_step(run, data, target, began)
        yield from steering.at("batch")
        if steering.stopped:
            return
        began = mark()


@torch.no_grad()
def validate(run: Training) -> EpochEnded:
    """Judge the model on the validation data; with it the epoch is complete."""
    run.model.eval()
    loss, outputs = RunningMean(), []
    task = run.data
    for data, target in task.val.batches(_VALIDATION_BATCH):
        output = run.model(data)
        loss.add(run.criterion(output, target), target.shape[0])
        outputs.append(output)
    found = metrics.judged(task.kind, torch.cat(outputs), task.val.targets, unit=task.unit)
    train_loss, run.epoch_loss = run.epoch_loss.value(), RunningMean()
    run.epoch += 1
    run.batch = 0
    return EpochEnded(
        run.take, run.step, run.epoch, run.loss_name, train_loss, loss.value(), found,
        improved=run.best.improved_by(found),
    )  # fmt: skip
