"""The built-in models: functions from a sample's shape and the number of outputs to a module.

An exported program contains a copy of the functions that it needs, so they use only torch, the
standard library and one another. They raise ValueError, with a message for the user, for a model
that cannot be built.
"""

from __future__ import annotations

import math
from typing import Any

from torch import nn

Shape = tuple[int, ...]


def linear(shape: Shape, outputs: int) -> nn.Module:
    """Return one linear layer, (N, *shape) → (N, outputs)."""
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), outputs))


def mlp(
    shape: Shape, outputs: int, *, hidden: tuple[int, ...], norm: str = "none", dropout: float = 0.0
) -> nn.Module:
    """Return fully connected layers, (N, *shape) → (N, outputs), with those hidden widths."""
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
    """Return a CNN, (N, C, H, W) → (N, outputs): a convolution and 2x2 pooling per `channels`."""
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


def lenet(shape: Shape, outputs: int) -> nn.Module:
    """Return LeNet-5, (N, C, H, W) → (N, outputs), with ReLU and maximum pooling."""
    channels, height, width = shape
    height, width = (height // 2 - 4) // 2, (width // 2 - 4) // 2
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * height * width, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, outputs),
    )


def torchvision_model(shape: Shape, outputs: int, *, name: str) -> nn.Module:
    """Return a classifier of torchvision with random weights, (N, C, H, W) → (N, outputs).

    Its first convolution takes the channels of a sample, and its last layer has the outputs.
    """
    import torchvision

    if not hasattr(torchvision.models, name):
        raise ValueError(f"torchvision {torchvision.__version__} has no model {name}")
    channels, height, width = shape
    options: dict[str, Any] = {"num_classes": outputs}
    if name.startswith("vit"):
        options["image_size"] = height
    elif name.startswith("maxvit"):
        options["input_size"] = (height, width)
    elif name in ("googlenet", "inception_v3"):  # else it returns three outputs in training
        options |= {"aux_logits": False, "init_weights": False}
    model: nn.Module = getattr(torchvision.models, name)(weights=None, **options)
    layers = model.named_modules()
    place, first = next(item for item in layers if isinstance(item[1], nn.Conv2d))
    if first.in_channels != channels:
        parent, _, child = place.rpartition(".")
        convolution = nn.Conv2d(
            channels,
            first.out_channels,
            first.kernel_size,
            first.stride,
            first.padding,
            bias=first.bias is not None,
        )
        setattr(model.get_submodule(parent), child, convolution)
    return model


def has_sparse_gradients(model: nn.Module) -> bool:
    """Return whether the model has an embedding with sparse gradients."""
    embeddings = nn.Embedding | nn.EmbeddingBag
    return any(isinstance(module, embeddings) and module.sparse for module in model.modules())


def least_batch(model: nn.Module) -> int:
    """Return the smallest training batch: batch norm over columns needs 2, else 1 is enough."""
    return 2 if any(isinstance(module, nn.BatchNorm1d) for module in model.modules()) else 1
