"""Inputs with mean 0 and deviation 1, as the training part has them."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

Numbers = NDArray[Any]


def normalised_columns(train: Numbers, val: Numbers) -> tuple[Tensor, Tensor]:
    """Return rows (N, F) float32, each column with mean 0 and deviation 1 over `train`."""
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    rows = [torch.from_numpy((part - mean) / deviation).float() for part in (train, val)]
    return rows[0], rows[1]


def normalised_channels(train: Numbers, val: Numbers) -> tuple[Tensor, Tensor]:
    """Return images (N, C, H, W) float32, each channel with mean 0 and deviation 1 over `train`."""
    pixels = [torch.from_numpy(part.copy()).float() for part in (train, val)]
    mean = pixels[0].mean((0, 2, 3), keepdim=True)
    deviation = pixels[0].std((0, 2, 3), keepdim=True).clamp(min=1e-6)
    return (pixels[0] - mean) / deviation, (pixels[1] - mean) / deviation
