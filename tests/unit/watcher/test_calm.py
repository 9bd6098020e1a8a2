"""A step before which nothing is looked at is recorded as any other."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import tuitrain
from tuitrain.core.segment import Segment
from tuitrain.store.paths import RunPaths
from tuitrain.store.reader import RunReader


class Twice(torch.optim.Optimizer):
    """An optimizer that evaluates a closure twice."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # as scripts do
        for _ in range(2 if closure else 0):
            closure()
        with torch.no_grad():
            for parameter in self.param_groups[0]["params"]:
                if parameter.grad is not None:
                    parameter -= self.param_groups[0]["lr"] * parameter.grad


def loader() -> DataLoader[Any]:
    return DataLoader(TensorDataset(torch.randn(20, 4), torch.randint(0, 3, (20,))), batch_size=8)


class Script:
    """A training script: what it does at each step is given by name."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = nn.Linear(4, 3)
        self.optimizer = Twice(self.model.parameters(), {"lr": 0.1})
        self.other = torch.optim.Adam(self.model.parameters(), lr=0.01)
        self.scaler = torch.amp.GradScaler("cpu")
        self.loader, self.held_out = loader(), loader()
        self._batches: Iterator[Any] = iter(())

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the next batch; after the last one, the first of a new epoch."""
        found = next(self._batches, None)
        if found is None:
            self._batches = iter(self.loader)
            found = next(self._batches)
        inputs, target = found
        return self.model(inputs), target

    def loss(self) -> torch.Tensor:
        return functional.cross_entropy(*self.batch())

    def plain(self) -> None:
        self.optimizer.zero_grad()
        self.loss().backward()
        self.optimizer.step()

    def accumulated(self) -> None:
        self.optimizer.zero_grad()
        for _ in range(2):
            (self.loss() / 2).backward()
        self.optimizer.step()

    def summed(self) -> None:
        output, target = self.batch()
        loss = functional.cross_entropy(output, target=target, reduction="sum")
        (loss + functional.l1_loss(output, torch.zeros_like(output))).backward()
        self.optimizer.step()

    def scaled(self) -> None:
        self.scaler.scale(self.loss()).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def scaled_late(self) -> None:
        self.loss().backward()
        scaled = self.scaler.scale(self.loss())
        self.optimizer.step()
        scaled.backward()
        self.optimizer.step()

    def of_another(self) -> None:
        self.loss().backward()
        self.other.step()

    def by_a_closure(self) -> None:
        def closure() -> torch.Tensor:
            self.optimizer.zero_grad()
            loss = self.loss()
            loss.backward()
            return loss

        self.optimizer.step(closure)

    def without_a_loss(self) -> None:
        self.optimizer.step()

    def with_a_gradient(self) -> None:
        output, target = self.batch()
        losses = functional.cross_entropy(output, target, reduction="none")
        losses.backward(torch.full_like(losses, 0.25))
        self.optimizer.step()

    def written_out(self) -> None:
        output, _ = self.batch()
        (output**2).mean().double().backward()
        self.optimizer.step()

    def refused(self) -> None:
        output, target = self.batch()
        try:
            functional.cross_entropy(output, target[:-1])
        except ValueError:
            functional.cross_entropy(output, target).backward()
        self.optimizer.step()

    def validated(self) -> None:
        with torch.no_grad():
            for inputs, target in self.held_out:
                functional.cross_entropy(self.model(inputs), target)

    def from_another_loader(self) -> None:
        self.loader, self._batches = loader(), iter(())
        self.plain()

    def slower(self) -> None:
        self.optimizer.param_groups[0]["lr"] *= 0.5

    def at_a_tensors_rate(self) -> None:
        self.optimizer.param_groups[0]["lr"] = torch.tensor(0.05)
        self.plain()


ACTIONS = [name for name, value in vars(Script).items() if not name.startswith("_")]
ACTIONS = [name for name in ACTIONS if name not in ("batch", "loss")]


def record_of(actions: list[str], home: Path, *, on_nonfinite: str) -> Any:
    """Return what is recorded of a script, but for times, and its weights."""
    script = Script()
    with tuitrain.watch("a", home=home, on_nonfinite=on_nonfinite):
        for action in ["plain", "plain", *actions]:
            act: Callable[[], None] = getattr(script, action)
            act()
    reader = RunReader(RunPaths(home / "runs" / "a").record)
    rows = [tuple(row)[:5] for row in reader.batches(0, 1)]
    series = {
        one.name: reader.measured(one, 1, (0, 1 << 30), 1000)
        for one in reader.series()
        if one.name.startswith(("loss", "lr"))
    }
    epochs = reader.epochs_in(Segment(1, 1, 1 << 30, 0, 1 << 30), 1000)
    weights = [parameter.tolist() for parameter in script.model.parameters()]
    return repr((rows, series, [epoch.ended for epoch in epochs], weights))


@settings(max_examples=12)
@example(actions=["written_out", "accumulated"])
@example(actions=["plain", "scaled_late", "accumulated"])
@example(actions=["by_a_closure", "plain"])
@example(actions=["plain", "from_another_loader", "plain"])
@given(actions=st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=12))
def test_a_calm_step_is_recorded_as_any_other(actions: list[str]):
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        calm = record_of(actions, Path(one), on_nonfinite="alert")
        assert calm == record_of(actions, Path(other), on_nonfinite="skip"), "all are looked at"
