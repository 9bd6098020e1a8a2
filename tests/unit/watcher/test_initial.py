"""The state before the first step: there is a way back from weights that are not finite."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

import tuitrain
from tuitrain.core.commands import Command, Request, Rollback
from tuitrain.core.events import CheckpointSaved, TakeOpened
from tuitrain.store import inbox
from tuitrain.store.delta import Cursor
from tuitrain.store.paths import RunPaths
from tuitrain.store.reader import RunReader

STEPS = 100_000
"""More than are taken until a command is carried out."""
INPUTS, TARGET = torch.randn(16, 4), torch.randn(16, 3)


def network() -> tuple[nn.Linear, torch.optim.Optimizer]:
    """Return a model and an optimizer that makes its weights NaN in a few steps."""
    model = nn.Linear(4, 3)
    return model, torch.optim.SGD(model.parameters(), lr=1e10, momentum=0.9)


def take_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    functional.mse_loss(model(INPUTS), TARGET).backward()
    optimizer.step()


def submit(home: Path, command: Command) -> None:
    inbox.put(RunPaths(home / "runs" / "a").inbox, Request.new(command))


def weights(*models: nn.Module) -> list[torch.Tensor]:
    return [weight.detach().clone() for model in models for weight in model.parameters()]


def steps_until(home: Path, is_reached: Callable[[], bool], step: Callable[[], None]) -> None:
    submit(home, Rollback(0))
    for _ in range(STEPS):
        step()
        if is_reached():
            return
    raise AssertionError("it never went back")


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(*pair) for pair in zip(one, other, strict=True))


def events(home: Path, kind: type) -> list:
    reader = RunReader(RunPaths(home / "runs" / "a").record)
    return [one.event for one in reader.since(Cursor()).events if isinstance(one.event, kind)]


def test_weights_that_are_nan_in_the_first_epoch_go_back_to_those_before_it(tmp_path: Path):
    model, optimizer = network()
    before = weights(model)
    with tuitrain.watch("a", home=tmp_path):
        while all(weight.isfinite().all() for weight in weights(model)):
            take_step(model, optimizer)
        steps_until(
            tmp_path, lambda: same(weights(model), before), lambda: take_step(model, optimizer)
        )
        assert optimizer.state_dict()["state"] == {}, "it has no momentum yet"
    saved = events(tmp_path, CheckpointSaved)[0]
    assert (saved.step, saved.epoch, saved.why, saved.is_between_epochs) == (0, 0, "start", True)


def test_the_start_of_two_optimizers_is_before_the_first_step_of_the_second(tmp_path: Path):
    (first, of_first), (second, of_second) = network(), network()
    with tuitrain.watch("a", home=tmp_path):
        take_step(first, of_first)
        before = weights(first, second)
        take_step(second, of_second)

        def round_of_both() -> None:
            take_step(first, of_first)
            if not same(weights(first, second), before):
                take_step(second, of_second)

        steps_until(tmp_path, lambda: same(weights(first, second), before), round_of_both)
    assert [one.step for one in events(tmp_path, TakeOpened)] == [1]
