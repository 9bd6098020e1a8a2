"""What the scripts share, which lies beside them: data, and a report of what they lived."""

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

CLASSES = 10


def samples() -> tuple[Tensor, Tensor]:
    """Return 320 digits (320, 64) and their classes."""
    images, classes = load_digits(return_X_y=True)
    return torch.tensor(images[:320] / 16, dtype=torch.float32), torch.tensor(classes[:320])


def loaders(batch_size: int = 32) -> tuple[DataLoader, DataLoader]:
    """Return loaders of 256 digits, shuffled, and of 64 others."""
    images, classes = samples()
    train = TensorDataset(images[:256], classes[:256])
    return (
        DataLoader(train, batch_size=batch_size, shuffle=True),
        DataLoader(TensorDataset(images[256:], classes[256:]), batch_size=48),
    )


def perceptron(outputs: int = CLASSES) -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, outputs))


def report(weights: Iterable[Tensor], **values: object) -> None:
    """Write the digest of the weights, and values, to the file that the first argument names."""
    digest = hashlib.sha256()
    for tensor in weights:
        digest.update(tensor.detach().float().numpy().tobytes())
    body = {"weights": digest.hexdigest(), **values}
    Path(sys.argv[1]).write_text(json.dumps(body))
