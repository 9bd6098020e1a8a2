"""A process that lives on after its loop was watched, as that of a notebook does."""

import multiprocessing
import time
from contextlib import nullcontext
from pathlib import Path

import psutil
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import tuitrain


def train_until(error: BaseException | None) -> None:
    """Train for two epochs; raise the error in the middle of the second."""
    loader = DataLoader(TensorDataset(torch.randn(48, 4), torch.randint(3, (48,))), batch_size=16)
    model = nn.Linear(4, 3)
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(2):
        for number, (inputs, target) in enumerate(loader):
            if error is not None and (epoch, number) == (1, 1):
                raise error
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs), target).backward()
            optimizer.step()


def test_blocks_one_after_another_leave_files_children_and_torch_as_they_were(tmp_path: Path):
    train_until(None)
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
    child.start()
    before = psutil.Process().num_fds(), functional.cross_entropy
    errors = {"a": None, "a-2": KeyboardInterrupt(), "a-3": ValueError("bad luck"), "a-4": None}
    for name, error in errors.items():
        raised = nullcontext() if error is None else pytest.raises(type(error))
        with raised, tuitrain.watch("a", home=tmp_path) as run:
            train_until(error)
        assert run.name == name
    assert (psutil.Process().num_fds(), functional.cross_entropy) == before
    assert child.is_alive()
    child.kill()
    child.join()
    shown = {name: tuitrain.connect(name, home=tmp_path).show() for name in errors}
    ends = {name: (one["state"], one["step"], one["epoch"]) for name, one in shown.items()}
    assert ends == {
        "a": ("finished", 6, 2), "a-2": ("stopped", 4, 1), "a-3": ("failed", 4, 1),
        "a-4": ("finished", 6, 2),
    }  # fmt: skip
