"""Handwritten digits, shifted at random, learned with a loss of one's own."""

import torch
from sklearn.datasets import load_digits
from torch import nn

import tuitrain


def images():
    inputs, targets = load_digits(return_X_y=True)
    return torch.tensor(inputs / 16, dtype=torch.float32).reshape(-1, 1, 8, 8), torch.tensor(
        targets
    )


def shifted(image, generator):
    down, right = torch.randint(-1, 2, (2,), generator=generator).tolist()
    return image.roll((down, right), (1, 2))


def poly(output, target, epsilon=1.0):
    losses = nn.functional.cross_entropy(output, target, reduction="none")
    return (losses + epsilon * (1 - torch.exp(-losses))).mean()


def network():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 10),
    )  # fmt: skip


task = tuitrain.Task(
    kind="multiclass",
    classes=list("0123456789"),
    train=images,
    val=0.2,
    model=network,
    criterion=poly,
    losses={"poly": poly},
    augment=shifted,
    lr=0.003,
    epochs=4,
    describe="1,797 digits, shifted by a pixel",
)
