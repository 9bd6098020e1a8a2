"""A run in memory: everything that a step changes, and everything that a wish may change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tuitrain.core import catalog
from tuitrain.core.events import RunStarted
from tuitrain.core.spec import Choice, RunSpec
from tuitrain.engine import device as devices
from tuitrain.engine.data import Dataset, shuffled
from tuitrain.engine.losses import Criterion, criterion_for
from tuitrain.engine.metrics import Best, RunningMean


@dataclass(slots=True)
class Training:
    """One run between two batches. `build` makes it from a spec."""

    model: nn.Module
    weights: tuple[nn.Parameter, ...]
    """Those that are trained."""
    optimizer: Optimizer
    criterion: Criterion
    data: Dataset
    device: torch.device
    stopwatch: devices.Stopwatch
    loss_name: str
    batch_size: int
    epochs: int
    seed: int
    best: Best
    pace: float | None = None
    take: int = 1
    step: int = 0
    epoch: int = 0
    """Completed epochs."""
    batch: int = 0
    """Batches trained of the epoch in hand."""
    epoch_loss: RunningMean = field(default_factory=RunningMean)

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.data.train) // self.batch_size)

    @property
    def lr(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield what is left of this epoch's batches, in the order that seed and epoch give."""
        order = shuffled(len(self.data.train), seed=self.seed, epoch=self.epoch).to(self.device)
        return self.data.train.batches(self.batch_size, order, skip=self.batch)

    def swap_loss(self, loss: str) -> None:
        """Use another loss from the next batch on; Refused if it does not fit the problem."""
        self.criterion = criterion_for(loss, self.data.kind)
        self.loss_name = loss
        self.epoch_loss = RunningMean()  # two losses have no common mean

    def started(self) -> RunStarted:
        """Return what is known once everything is built."""
        return RunStarted(
            device=str(self.device),
            steps_per_epoch=self.steps_per_epoch,
            parameters=sum(weights.numel() for weights in self.model.parameters()),
            train_samples=len(self.data.train),
            val_samples=len(self.data.val),
            environment=devices.environment(self.device),
        )


def build(spec: RunSpec) -> Training:
    """Load the data and make model, optimizer and criterion, all by the spec's seed.

    Raises DeviceAbsent, or Refused where model or loss do not fit the data.
    """
    device = devices.choose(spec.device)
    data: Dataset = catalog.find("task", spec.task).load()()
    torch.manual_seed(spec.seed)
    model = _made("model", spec.model, data.input_shape, data.outputs).to(device)
    weights = tuple(each for each in model.parameters() if each.requires_grad)
    return Training(
        model=model,
        weights=weights,
        optimizer=_made("optimizer", spec.optimizer, weights, spec.lr, device),
        criterion=criterion_for(spec.loss, data.kind),
        data=data.to(device),
        device=device,
        stopwatch=devices.stopwatch(device),
        loss_name=spec.loss,
        batch_size=spec.batch_size,
        epochs=spec.epochs,
        seed=spec.seed,
        best=Best(data.kind),
        pace=spec.pace,
    )


def _made(what: str, text: str, *arguments: Any) -> Any:
    choice = Choice.read(what, text)
    entry = catalog.find(what, choice.name)
    return entry.load()(*arguments, **catalog.read_options(entry, choice.options))
