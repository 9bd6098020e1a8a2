"""CIFAR-10: small colour photographs of ten kinds (A. Krizhevsky, 2009)."""

from __future__ import annotations

from pathlib import Path

import torch
from torchvision.datasets import CIFAR10

from tuitrain.engine.data import Parts
from tuitrain.engine.tasks.normalise import normalised_channels


def cifar10(folder: Path) -> Parts:
    """Return 50,000 images (N, 3, 32, 32) with classes (N,), then 10,000 for validation.

    torchvision checks the digest of each file.
    """
    root = folder.parent if folder.name == "cifar-10-batches-py" else folder
    train, val = CIFAR10(root, train=True), CIFAR10(root, train=False)
    train_inputs, val_inputs = normalised_channels(
        train.data.transpose(0, 3, 1, 2), val.data.transpose(0, 3, 1, 2)
    )
    return train_inputs, torch.tensor(train.targets), val_inputs, torch.tensor(val.targets)
