"""Steps of optimizers of one's own, and compiled ones: watched, each is one step."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.nn import functional

import tuitrain
from tests.odd_loops import Loop, train_loader, val_loader, watched


class Scaled(torch.optim.SGD):
    """An optimizer whose step has an argument of its own."""

    def step(self, scale: float = 1.0, closure: Any = None) -> Any:  # type: ignore[override]  # as scripts do
        for parameter in self.param_groups[0]["params"]:
            parameter.grad.mul_(scale)
        return super().step(closure)


class Careful(torch.optim.SGD):
    """An optimizer that calls its closure with an argument."""

    def step(self, closure: Any) -> Any:  # type: ignore[override]  # as scripts do
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


class Warming(torch.optim.SGD):
    """An optimizer that takes its first steps by itself, and later ones by its base class."""

    taken = 0

    def step(self) -> None:  # type: ignore[override]  # as scripts do
        self.taken += 1
        if self.taken > 4:
            super().step()


def steps_within_later_steps() -> Loop:
    loop = Loop()
    torch.optim.SGD(loop.model.parameters())
    loop.optimizer = Warming(loop.model.parameters(), lr=0.1)
    for _ in range(8):
        loop.step(loop.loss())
    return loop


class Adaptive(torch.optim.Optimizer):
    """An optimizer that finds its own rate."""

    def step(self) -> None:  # type: ignore[override]  # as scripts do
        with torch.no_grad():
            for parameter in self.param_groups[0]["params"]:
                parameter -= 0.1 * parameter.grad


def without_a_rate(**defaults: Any) -> Loop:
    loop = Loop()
    loop.optimizer = Adaptive(loop.model.parameters(), defaults)
    for _ in range(4):
        loop.step(loop.loss())
    return loop


def estimated() -> Loop:
    """A step of a model without numbers is taken first, and once more in the midst."""
    loop = Loop()
    for _ in range(2):
        for mode in (FakeTensorMode(), torch.device("meta")):
            with mode:
                model = torch.nn.Linear(8, 4)
                optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                targets = torch.empty(96, dtype=torch.long)
                functional.cross_entropy(model(torch.empty(96, 8)), targets).backward()
                optimizer.step()
        for _ in range(4):
            loop.step(loop.loss())
    return loop


@pytest.mark.parametrize(
    "loop",
    [
        steps_with_a_number, closures_with_an_argument, steps_within_steps,
        steps_within_later_steps, steps_in_backward, without_a_rate,
        partial(without_a_rate, lr=None), estimated,
    ],
)  # fmt: skip
def test_a_step_of_an_optimizer_of_ones_own_is_one_step(tmp_path: Path, capfd, loop):
    assert watched(tmp_path, loop, capfd).run.show()["loss"] == "cross-entropy"


class Ungrouped(Adaptive):
    """An optimizer that keeps its parameters to itself."""

    def step(self) -> None:  # type: ignore[override]  # as scripts do
        if self.param_groups:
            self.own, self.param_groups = self.param_groups, []
        with torch.no_grad():
            for parameter in self.own[0]["params"]:
                parameter -= 0.1 * parameter.grad


def test_an_optimizer_that_cannot_be_understood_trains_as_without_watching(tmp_path: Path):
    def weights() -> list[Tensor]:
        loop = Loop()
        loop.optimizer = Ungrouped(loop.model.parameters(), {})
        for _ in range(4):
            loop.loss().backward()
            loop.optimizer.step()
        return loop.lived().weights

    alone = weights()
    with tuitrain.watch("a", home=tmp_path):
        assert all(map(torch.equal, alone, weights()))
    events = list(tuitrain.connect("a", home=tmp_path).events(follow=False))
    assert "the steps cannot be seen any more" in str(events)


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
