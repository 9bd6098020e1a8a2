"""A small loop that keeps what it lives, and is run without and with watching."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import tuitrain
from tuitrain.core.events import EpochEnded, RunStarted, Warned

INPUTS = torch.randn(96, 8, generator=torch.Generator().manual_seed(1))
TARGETS = torch.randint(0, 4, (96,), generator=torch.Generator().manual_seed(2))


class Lived(NamedTuple):
    """What a loop lived."""

    weights: list[Tensor]
    losses: list[float]
    val_losses: list[float]


class Loop:
    """A small classifier that keeps what it lives."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 4))
        self.optimizer: Any = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.losses: list[float] = []
        self.val_losses: list[float] = []

    def loss(self, inputs: Tensor = INPUTS, targets: Tensor = TARGETS) -> Tensor:
        return functional.cross_entropy(self.model(inputs), targets)

    def step(self, loss: Tensor, *arguments: Any) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step(*arguments)
        self.losses.append(loss.item())

    def train(self, loader: Any) -> None:
        self.model.train()
        for inputs, targets in loader:
            self.step(self.loss(inputs, targets))

    @torch.no_grad()
    def validate(self, loader: Any = None) -> None:
        """Validate with a loader, or with the tensors of the part that is held back."""
        self.model.eval()
        batches = list(loader or [(INPUTS[64:], TARGETS[64:])])
        losses = [self.loss(*batch).item() * len(batch[1]) for batch in batches]
        self.val_losses.append(sum(losses) / sum(len(targets) for _, targets in batches))
        self.model.train()

    def lived(self) -> Lived:
        weights = [one.detach().clone() for one in self.model.parameters()]
        return Lived([*weights, torch.rand(1)], self.losses, self.val_losses)


class Both(NamedTuple):
    """A loop that was watched, and was the same without it."""

    run: tuitrain.Run
    lived: Lived

    @property
    def epochs(self) -> list[EpochEnded]:
        return [one for one in self.run.events(follow=False) if isinstance(one, EpochEnded)]

    @property
    def started(self) -> RunStarted:
        return next(one for one in self.run.events(follow=False) if isinstance(one, RunStarted))


def watched(home: Path, loop: Callable[[], Loop], capfd: Any, **options: Any) -> Both:
    """Run a loop without and with watching: weights, losses and random numbers are the same."""
    alone = loop().lived()
    with tuitrain.watch("a", home=home, **options):
        lived = loop().lived()
    assert all(map(torch.equal, alone.weights, lived.weights))
    run = tuitrain.connect("a", home=home)
    assert [row.loss for row in run.batches()] == pytest.approx(lived.losses, nan_ok=True)
    said = [one.text for one in run.events(follow=False) if isinstance(one, Warned)]
    assert (said, run.state) == ([], "finished")
    assert "tuitrain" not in capfd.readouterr().err
    return Both(run, lived)


def train_loader(**options: Any) -> DataLoader:
    return DataLoader(TensorDataset(INPUTS[:64], TARGETS[:64]), 16, shuffle=True, **options)


def val_loader() -> DataLoader:
    return DataLoader(TensorDataset(INPUTS[64:], TARGETS[64:]), 16)
