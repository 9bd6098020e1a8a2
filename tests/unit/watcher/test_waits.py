"""Watching does not make the host wait for an accelerator, but now and then for many steps."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import tuitrain
from tests.reads import Reads
from tuitrain.store.paths import RunPaths
from tuitrain.store.reader import RunReader
from tuitrain.store.writer import RunWriter
from tuitrain.watcher import session

STEPS = 200


class Descent(torch.optim.Optimizer):
    """Has its learning rate on the device."""

    def __init__(self, parameters) -> None:
        super().__init__(parameters, {"lr": torch.tensor(1 / 16)})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter -= parameter.grad * group["lr"]


def loop() -> Iterator[torch.Tensor]:
    """Yield the loss of each step, the sum of two backward passes."""
    model = nn.Linear(4, 1)
    optimizer = Descent(model.parameters())
    data = TensorDataset(torch.randn(2 * STEPS + 2, 4), torch.randn(2 * STEPS + 2, 1))
    batches = iter(DataLoader(data))
    while True:
        optimizer.zero_grad()
        total = torch.zeros(())
        for _ in range(2):
            inputs, target = next(batches)
            loss = functional.mse_loss(model(inputs), target) / 2
            loss.backward()
            total = total + loss.detach()
        optimizer.step()
        yield total
        optimizer.param_groups[0]["lr"].sub_(2**-14)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Writes of the recorder, each of which reads the numbers of many steps at once."""
    waits = []
    write, write_latest = RunWriter.write, RunWriter.latest_batch_losses

    def counted(writer, batches, *more):
        waits.extend(["steps"] if batches else [])
        write(writer, batches, *more)

    def latest_counted(*losses_of_a_sample):
        waits.append("sample")
        write_latest(*losses_of_a_sample)

    monkeypatch.setattr(RunWriter, "write", counted)
    monkeypatch.setattr(RunWriter, "latest_batch_losses", latest_counted)
    return waits


def test_no_step_of_a_watched_loop_makes_the_device_wait(
    waits: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.Tensor, "is_cpu", False)  # as on an accelerator
    with tuitrain.watch("a", home=tmp_path):
        steps = loop()
        losses = [next(steps)]  # the first one looks at what the loop is
        waits.clear()
        with Reads() as reads:
            losses += [next(steps) for _ in range(STEPS)]
            assert session.current is not None
            session.current.recorder.flush()
            written = len(waits)

    assert 1 <= written < STEPS / 2
    assert reads.count == written
    rows = RunReader(RunPaths(tmp_path / "runs" / "a").record).batches(0, 1)
    assert [row.loss for row in rows] == [loss.item() for loss in losses]
    assert [row.lr for row in rows] == [1 / 16 - number / 2**14 for number in range(STEPS + 1)]
