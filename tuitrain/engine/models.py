"""The built-in models: functions from a sample's shape and the number of outputs to a module.

An exported program has a copy of the functions that it needs, so they use torch, the standard
library and one another only; what cannot be built raises ValueError with a sentence for the user.
"""

from __future__ import annotations

import math

from torch import nn

Shape = tuple[int, ...]


def linear(shape: Shape, outputs: int) -> nn.Module:
    """Return (N, *shape) → (N, outputs) by one layer of weights."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), outputs))


def mlp(
    shape: Shape, outputs: int, *, hidden: tuple[int, ...], norm: str = "none", dropout: float = 0.0
) -> nn.Module:
    """Return (N, *shape) → (N, outputs) through hidden layers of those widths."""
    layers: list[nn.Module] = [nn.Flatten()]
    width = math.prod(shape)
    for next_width in hidden:
        layers.append(nn.Linear(width, next_width))
        layers += [nn.BatchNorm1d(next_width)] if norm == "batch" else []
        layers += [nn.ReLU(), nn.Dropout(dropout)] if dropout else [nn.ReLU()]
        width = next_width
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def cnn(
    shape: Shape,
    outputs: int,
    *,
    channels: tuple[int, ...],
    norm: str = "none",
    dropout: float = 0.0,
) -> nn.Module:
    """Return (N, C, H, W) → (N, outputs): a convolution and a halving for each of `channels`."""
    if len(shape) != 3:
        raise ValueError(f"cnn needs images (channels, height, width), and a sample is {shape}")
    depth, height, width = shape
    layers: list[nn.Module] = []
    for next_depth in channels:
        layers.append(nn.Conv2d(depth, next_depth, 3, padding=1))
        layers += [nn.BatchNorm2d(next_depth)] if norm == "batch" else []
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
        depth, height, width = next_depth, height // 2, width // 2
    if not height * width:
        raise ValueError(f"cnn halves {shape} {len(channels)} times: use fewer channels")
    layers += [nn.Flatten(), nn.Linear(depth * height * width, 128), nn.ReLU()]
    layers += [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers, nn.Linear(128, outputs))


def has_sparse_gradients(model: nn.Module) -> bool:
    """Return whether an embedding of it gives the gradients of the rows that it used alone."""
    embeddings = nn.Embedding | nn.EmbeddingBag
    return any(isinstance(each, embeddings) and each.sparse for each in model.modules())


def least_batch(model: nn.Module) -> int:
    """Return how many samples a training batch must have: batch norm has no spread over one."""
    return 2 if any(isinstance(each, nn.BatchNorm1d) for each in model.modules()) else 1
