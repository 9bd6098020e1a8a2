"""Planted faults, each of which is named and nothing else; healthy runs, of which nothing is."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import Shell
from tuitrain.connection.confusion import best_confusion
from tuitrain.connection.follower import snapshot
from tuitrain.view.panel.diagnosis import findings

OWN = '''
import torch
from torch import nn
from torch.utils.data import Dataset
from tuitrain import Task

torch.manual_seed(0)
X = torch.randn(400, 8)
Y = (X[:, :4].sum(1) > 0).long() + (X[:, 4:].sum(1) > 0).long()


class Below(nn.Linear):
    """Its outputs are never positive."""

    def reset_parameters(self):
        super().reset_parameters()
        nn.init.constant_(self.bias, -1000)


class Slow(Dataset):
    """Takes a while for each sample."""

    def __len__(self):
        return 200

    def __getitem__(self, index):
        for _ in range(500):
            torch.ones(100).exp().sum()
        return X[index], Y[index]


def classes(train, model="mlp:hidden=64"):
    return Task(train=lambda: train, val=lambda: (X[300:], Y[300:]), kind="multiclass",
                classes=["a", "b", "c"], model=model)


slow = classes(Slow())
large = classes((X[:300] * 3000, Y[:300]))
noise = classes((X[:100], torch.randint(0, 3, (100,))))
blocked = classes((X[:300], Y[:300]),
                  lambda: nn.Sequential(Below(8, 64), nn.ReLU(), nn.Linear(64, 3)))
dead = classes((X[:300], Y[:300]), lambda: nn.Sequential(Below(8, 3), nn.ReLU()))
rare = classes((X[:300], torch.where(torch.arange(300) < 4, 2, Y[:300].clamp(max=1))))
'''


@pytest.fixture
def found(threaded: Shell, tmp_path: Path):
    """Train a run to its end, and return it with what is wrong with it."""
    (tmp_path / "own.py").write_text(OWN)

    def train(task: str, *options: str, commands: tuple[str, ...] = ()):
        where = f"{tmp_path}/{task}" if ":" in task else task
        threaded("run", where, "--name", "a", "--detach", *options)
        for command in commands:
            threaded("ctl", "a", *command.split())
        threaded.ended("a")
        client = threaded.client("a")
        run = snapshot(client)
        return run, findings(run, best_confusion(client, run))

    return train


@pytest.mark.parametrize(
    ("kind", "task", "options"),
    [
        ("diverging", "diabetes", "--optimizer sgd --lr 0.9 --epochs 10 --on-nonfinite skip"),
        (
            "worse since a change",
            "digits",
            "--model linear --epochs 6 --paused | step 92 | lr 30 | resume",
        ),
        ("dead gradients", "own.py:dead", "--epochs 3"),
        ("dead gradients", "own.py:blocked", "--epochs 3"),
        ("unfit loss", "spirals", "--loss l1 --epochs 6"),
        ("not learning", "digits", "--lr 1e-9 --epochs 6"),
        ("overfitting", "own.py:noise", "--epochs 60 --lr 0.01"),
        ("plateau", "circles", "--model linear --epochs 60"),
        ("high start", "own.py:large", "--epochs 2"),
        ("never predicted", "own.py:rare", "--epochs 6"),
        ("waiting for data", "own.py:slow", "--epochs 4"),
    ],
)
def test_a_planted_fault_is_named_and_nothing_else(found, kind, task, options):
    options, *commands = options.split(" | ")
    run, diagnosed = found(task, *options.split(), commands=tuple(commands))
    assert [finding.kind for finding in diagnosed] == [kind]
    for state in ("running", "finished"):
        line = diagnosed[0].line(replace(run, state=state), has_keys=True)
        assert not re.search("--|tuitrain ", line), "the screen names keys"


@pytest.mark.parametrize(
    "task", ["digits", "breast-cancer", "diabetes", "moons", "circles", "spirals", "sine"]
)
@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_of_a_healthy_run_nothing_is_said(found, task, seed):
    assert found(task, "--epochs", "8", "--seed", seed)[1] == []
