"""Loops as people write them: watched, each trains to the same weights, and is seen to its end."""

import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

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


# steps


class Scaled(torch.optim.SGD):
    """An optimizer whose step has an argument of its own."""

    def step(self, scale: float = 1.0, closure: Any = None) -> Any:  # type: ignore[override]
        for parameter in self.param_groups[0]["params"]:
            parameter.grad.mul_(scale)
        return super().step(closure)


class Careful(torch.optim.SGD):
    """An optimizer that calls its closure with an argument."""

    def step(self, closure: Any) -> Any:  # type: ignore[override]
        with torch.enable_grad():
            loss = closure(backward=True)
        super().step()
        closure(backward=False)
        return loss


class Inherited(torch.optim.Adam):
    """An optimizer that calls the step of its base class, which other optimizers have, too."""

    def step(self, closure: Any = None) -> Any:
        return super().step(closure)


def steps_with_a_number() -> Loop:
    loop = Loop()
    loop.optimizer = Scaled(loop.model.parameters(), lr=0.1)
    for _ in range(4):
        loop.step(loop.loss(), 0.5)
    return loop


def closures_with_an_argument() -> Loop:
    loop = Loop()
    loop.optimizer = Careful(loop.model.parameters(), lr=0.1)

    def closure(*, backward: bool) -> Tensor:
        loss = loop.loss()
        if backward:
            loop.optimizer.zero_grad()
            loss.backward()
        return loss

    loop.losses += [loop.optimizer.step(closure).item() for _ in range(4)]
    return loop


def steps_within_steps() -> Loop:
    loop = Loop()
    torch.optim.Adam(loop.model.parameters())
    loop.optimizer = Inherited(loop.model.parameters())
    for _ in range(4):
        loop.step(loop.loss())
    return loop


def steps_in_backward() -> Loop:
    loop = Loop()

    def step(_: Tensor) -> None:
        loop.optimizer.step()
        loop.optimizer.zero_grad()

    next(loop.model.parameters()).register_post_accumulate_grad_hook(step)
    for _ in range(4):
        loss = loop.loss()
        loss.backward()
        loop.losses.append(loss.item())
    return loop


@pytest.mark.parametrize(
    "loop",
    [steps_with_a_number, closures_with_an_argument, steps_within_steps, steps_in_backward],
)
def test_a_step_of_an_optimizer_of_ones_own_is_one_step(tmp_path: Path, capfd, loop):
    assert watched(tmp_path, loop, capfd).run.show()["loss"] == "cross-entropy"


# torch.compile


def compiled_steps() -> Loop:
    """Losses, backward passes and steps within what is compiled."""
    torch.compiler.reset()
    loop, loader, val = Loop(), train_loader(), val_loader()

    @torch.compile(backend="aot_eager")
    def step(inputs: Tensor, targets: Tensor) -> Tensor:
        loop.optimizer.zero_grad()
        loss = loop.loss(inputs, targets)
        loss.backward()
        loop.optimizer.step()
        return loss

    for _ in range(2):
        loop.losses += [step(*batch).item() for batch in loader]
        loop.validate(val)
    return loop


def compiled_losses() -> Loop:
    torch.compiler.reset()
    loop, loader, val = Loop(), train_loader(), val_loader()
    loss = torch.compile(loop.loss, backend="aot_eager")
    for _ in range(2):
        for batch in loader:
            loop.step(loss(*batch))
        loop.validate(val)
    return loop


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("loop", [compiled_steps, compiled_losses])
def test_a_compiled_step_is_seen_and_its_hooks_are_not_compiled(tmp_path: Path, capfd, loop):
    both = watched(tmp_path, loop, capfd)
    assert [one.step for one in both.epochs] == [4, 8]
    assert [one.val_loss for one in both.epochs] == pytest.approx(both.lived.val_losses)
