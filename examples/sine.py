"""A sine, learned from noisy points: `tuitrain run examples/sine.py`."""

import math

import torch
from torch import nn

import tuitrain


def points(count, noise):
    generator = torch.Generator().manual_seed(count)
    x = torch.rand(count, 1, generator=generator) * 2 * math.pi
    return x, torch.sin(x[:, 0]) + noise * torch.randn(count, generator=generator)


task = tuitrain.Task(
    kind="regression",
    train=lambda: points(2000, noise=0.1),
    val=lambda: points(500, noise=0.0),
    model=lambda: nn.Sequential(
        nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1)
    ),
    lr=0.01,
    epochs=20,
    describe="sin(x) from 2,000 noisy points",
)
