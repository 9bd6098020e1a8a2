"""Ranks that have shards of the weights: real launchers and ranks, and PyTorch's own FSDP."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch.torch_version import TorchVersion

from tests.conftest import Shell
from tests.versions import MUON, SHARDED
from tuitrain import connect
from tuitrain.catalog import new_spec
from tuitrain.connection.run import Run
from tuitrain.core.detail import BATCH, LAYERS, LINE_SEARCH, SAMPLE
from tuitrain.core.errors import Refused
from tuitrain.core.events import CheckpointSaved, Warned, WeightsCompared
from tuitrain.engine.build import build
from tuitrain.engine.ranks.sharded import Sharded

TWO = ("--nproc", "2", "--batch-size", "32", "--seed", "1")
NET = """
import os

import torch
from torch import nn


class NotANumber(torch.autograd.Function):
    "Leaves the values as they are, and makes the gradients of the last class NaN."

    @staticmethod
    def forward(ctx, outputs):
        return outputs.clone()

    @staticmethod
    def backward(ctx, gradients):
        gradients = gradients.clone()
        gradients[:, -1] = torch.nan
        return gradients


class Net(nn.Module):
    "Has a weight that it never uses, one that is not trained, and weights that are used twice."

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(64)
        self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)
        self.second.weight = self.first.weight
        self.first.bias.requires_grad_(False)
        self.last, self.unused = nn.Linear(64, 10), nn.Linear(3, 3)
        self.calls = 0

    def forward(self, images):
        hidden = self.second(self.first(self.norm(images.flatten(1))).relu()).relu()
        outputs = self.last(hidden.detach())  # nothing else has a gradient
        self.calls += self.training
        if self.calls == 6 and os.environ.get("RANK") == "1":
            outputs = outputs * torch.nan
        return NotANumber.apply(outputs) if self.calls == 4 else outputs
"""
SHARDS = """
import json, os, socket
from multiprocessing import get_context
from tuitrain.catalog import new_spec


def size(rank, port, sizes):
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
                   "MASTER_PORT": port}
    from tuitrain.engine.build import build
    from tuitrain.engine.ranks import group
    from tuitrain.engine.ranks.ranks import Ranks
    from tuitrain.engine.step import train_step

    with group.joined(leads=rank == 0):
        run, ranks = build(new_spec("digits", nproc=2, strategy="fsdp")), Ranks()
        ranks.train(run)
        train_step(run, *next(run.batches()), run.stopwatch.mark())
        held = [*run.weights, *(value for state in run.optimizer.state.values()
                                for value in state.values() if value.dim())]
        sizes.put(sum(tensor.untyped_storage().nbytes() for tensor in held))


fork = get_context("fork")
sizes = fork.SimpleQueue()
with socket.create_server(("127.0.0.1", 0)) as free:
    port = str(free.getsockname()[1])
ranks = [fork.Process(target=size, args=(rank, port, sizes)) for rank in range(2)]
for rank in ranks:
    rank.start()
for rank in ranks:
    rank.join()
print(json.dumps([sizes.get() for rank in ranks if not sizes.empty()]))
"""


def run_of(shell: Shell, name: str) -> Run:
    return connect(name, home=shell.home)


@SHARDED
def test_shards_train_and_are_steered_and_measured_as_whole_weights_and_all_repeats_exactly(
    tuitrain: Shell, tmp_path: Path
):
    for strategy in ("ddp", "fsdp"):
        tuitrain.start(
            strategy, *TWO, "--strategy", strategy, "--optimizer", "adagrad", "--lr", "0.01",
            "--epochs", "3", "--paused",
        )  # fmt: skip
        for command in (
            ("step", "5"), ("loss", "mse", "--at", "batch"), ("clip-norm", "0.1"), ("step", "30"),
            ("lr", "0.02"), ("step", "3"), ("undo",), ("step", "2"),
        ):  # fmt: skip
            tuitrain("ctl", strategy, *command)
    whole, sharded = run_of(tuitrain, "ddp"), run_of(tuitrain, "fsdp")
    wanted = [row.loss for row in whole.batches()]
    assert [row.loss for row in sharded.batches()] == pytest.approx(wanted, rel=1e-4)
    for name in (LAYERS, LINE_SEARCH, SAMPLE, BATCH):
        found, there = (newest(tuitrain, strategy, name) for strategy in ("fsdp", "ddp"))
        assert len(found) > 10
        assert found == pytest.approx(there, rel=1e-3)
    refused = tuitrain("ctl", "fsdp", "lr-find", code=3)
    assert "no process has the whole model" in refused.stderr
    tuitrain("ctl", "ddp", "resume")
    tuitrain("ctl", "fsdp", "stop")
    tuitrain.ended("fsdp")
    tuitrain("resume", "fsdp", "--plain")
    tuitrain.ended("ddp")
    assert sharded.metrics["accuracy"] == pytest.approx(whole.metrics["accuracy"], abs=0.01)
    tuitrain("replay", "fsdp", "--plain", "--name", "again")
    assert [
        event.is_same for event in run_of(tuitrain, "again").events(follow=False)
        if isinstance(event, WeightsCompared)
    ] == [True]  # fmt: skip
    tuitrain(
        "fork", "fsdp", "--epoch", "best", "--nproc", "1", "--strategy", "ddp", "--epochs", "4",
        "--plain", "--name", "alone",
    )  # fmt: skip
    alone = run_of(tuitrain, "alone")
    assert alone.metrics["accuracy"] > sharded.metrics["accuracy"] - 0.02
    assert not [event for event in alone.events(follow=False) if isinstance(event, Warned)]
    tuitrain("export", "fsdp", "--format", "weights", "--out", str(tmp_path / "weights.pt"))
    weights = torch.load(tmp_path / "weights.pt")
    assert {type(tensor) for tensor in weights.values()} == {torch.Tensor}


def newest(shell: Shell, name: str, what: str) -> list[float]:
    """Return the numbers of the newest detail of that name, and its step."""
    run = shell.show(name)
    found = shell.client(name).record.newest_detail(run["take"], run["step"], what)
    assert found is not None
    return numbers(list(found))


def numbers(detail: object) -> list[float]:
    """Return the numbers of a detail, in order."""
    if isinstance(detail, dict | list):
        values = detail.values() if isinstance(detail, dict) else detail
        return [number for value in values for number in numbers(value)]
    return [detail] if isinstance(detail, int | float) else []


@SHARDED
def test_a_loss_of_one_rank_or_a_shard_of_the_gradients_that_is_nan_leaves_no_trace(
    tuitrain: Shell, tmp_path: Path
):
    """Of parts that differ in their batches, too: 479 samples are 68 batches of 7, and 3."""
    (tmp_path / "net.py").write_text(NET)
    tuitrain(
        "run", "digits", "--model", f"{tmp_path / 'net.py'}:Net", "--nproc", "3", "--strategy",
        "fsdp", "--batch-size", "7", "--accumulate", "2", "--on-nonfinite", "skip", "--epochs", "1",
        "--plain", "--name", "own", "--seed", "1", "--lr", "0.03",
    )  # fmt: skip
    run = run_of(tuitrain, "own")
    assert run.state == "finished"
    losses = [row.loss for row in run.batches()]
    assert [step for step, loss in enumerate(losses, 1) if not math.isfinite(loss)] == [3]
    warned = " ".join(e.text for e in run.events(follow=False) if isinstance(e, Warned))
    assert "2 of 35 batches were skipped" in warned
    assert run.metrics["accuracy"] > 0.5
    saved = [event for event in run.events(follow=False) if isinstance(event, CheckpointSaved)]
    assert all(event.is_finite for event in saved)


@SHARDED
def test_no_rank_keeps_more_than_its_share(tuitrain: Shell, tmp_path: Path):
    (tmp_path / "shards.py").write_text(SHARDS)
    done = tuitrain.python("shards.py", folder=tmp_path)
    both = json.loads(done.stdout.splitlines()[-1])
    weights = 50_826  # with the two means of Adam, 4 bytes each
    assert sum(both) == pytest.approx(3 * 4 * weights, rel=0.01)
    assert max(both) == pytest.approx(3 * 4 * weights / 2, rel=0.01)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "which --nproc N starts"),
        (("--nproc", "2", "--compile"), "shards no compiled model"),
        (("--nproc", "2", "--optimizer", "muon"), "computes with whole weights"),
    ],
)
def test_what_has_no_shards_is_refused_before_it_starts(tuitrain: Shell, options, reason: str):
    refused = tuitrain.here("run", "digits", "--strategy", "fsdp", *options, code=None)
    assert refused.returncode != 0
    assert reason in refused.stderr


def test_an_older_pytorch_is_named_by_its_version(monkeypatch):
    monkeypatch.setattr(torch, "__version__", TorchVersion("2.7.1+cpu"))
    with pytest.raises(Refused, match=r"needs PyTorch 2\.8 or newer, and this is 2\.7\.1"):
        Sharded(build(new_spec("digits", nproc=2, strategy="fsdp")))


@MUON
def test_a_run_that_has_no_shards_is_not_resumed_with_some_and_stays_as_it_was(tuitrain: Shell):
    tuitrain("run", "digits", "--optimizer", "muon", "--paused", "--detach", "--name", "a", *TWO)
    tuitrain("ctl", "a", "stop")
    before = tuitrain("show", "a", "--json").stdout
    refused = tuitrain.here("resume", "a", "--strategy", "fsdp", code=None)
    assert refused.returncode == 3
    assert "computes with whole weights" in refused.stderr
    refused = tuitrain.here("resume", "a", "--strategy", "fsdp", "--nproc", "1", code=None)
    assert "which --nproc N starts" in refused.stderr
    assert tuitrain("show", "a", "--json").stdout == before


def test_nor_is_one_whose_own_optimizer_may_need_whole_weights(tuitrain: Shell, tmp_path: Path):
    (tmp_path / "own.py").write_text("import torch\n\n\nclass Signed(torch.optim.SGD):\n    pass\n")
    own = ("--optimizer", f"{tmp_path / 'own.py'}:Signed")
    tuitrain("run", "digits", *own, "--paused", "--detach", "--name", "a", *TWO)
    tuitrain("ctl", "a", "stop")
    before = tuitrain("show", "a", "--json").stdout
    for command in (("resume", "a"), ("fork", "a", "--epoch", "0")):
        refused = tuitrain.here(*command, "--strategy", "fsdp", code=None)
        assert refused.returncode == 3
        assert "Signed is not known to compute with each number by itself" in refused.stderr
    assert tuitrain("show", "a", "--json").stdout == before
    assert [run.name for run in (tuitrain.home / "runs").iterdir()] == ["a"]
