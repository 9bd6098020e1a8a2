"""What a watched step costs, in calls: times would prove nothing on a machine that is busy."""

import sys
from pathlib import Path
from types import FrameType

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import tuitrain

_PACKAGE = str(Path(tuitrain.__file__).parent)
MOST = 15
"""Calls of our functions in most steps; in the others the record is written, or commands read."""


def test_most_steps_of_a_watched_loop_make_few_calls(tmp_path: Path):
    loader = DataLoader(TensorDataset(torch.randn(400, 4), torch.randint(3, (400,))), batch_size=4)
    model = nn.Linear(4, 3)
    optimizer = torch.optim.Adam(model.parameters())
    counts = [0]

    def count(frame: FrameType, event: str, _: object) -> None:
        counts[-1] += event == "call" and frame.f_code.co_filename.startswith(_PACKAGE)

    def train() -> None:
        for inputs, target in loader:
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs), target).backward()
            optimizer.step()
            counts.append(0)

    sys.setprofile(count)
    train()
    sys.setprofile(None)
    idle, counts[:] = min(counts[1:-1]), [0]  # those of an earlier watch that ended within a step
    with tuitrain.watch("a", home=tmp_path):
        sys.setprofile(count)
        train()
        sys.setprofile(None)
    assert 0 < min(counts[1:-1]) - idle <= MOST
