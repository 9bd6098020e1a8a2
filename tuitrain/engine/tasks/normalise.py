"""Normalise inputs to mean 0 and standard deviation 1 over the training part."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

Numbers = NDArray[Any]


def normalised_columns(train: Numbers, val: Numbers) -> tuple[Tensor, Tensor]:
    """Return both parts, (N, F) float32; each column of `train` has mean 0 and deviation 1."""
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    rows = [torch.from_numpy((part - mean) / deviation).float() for part in (train, val)]
    return rows[0], rows[1]


def normalised_channels(train: Numbers, val: Numbers) -> tuple[Tensor, Tensor]:
    """Return both parts, (N, C, H, W) float32; each channel of `train` has mean 0, deviation 1."""
    pixels = [torch.from_numpy(part.copy()).float() for part in (train, val)]
    mean = pixels[0].mean((0, 2, 3), keepdim=True)
    deviation = pixels[0].std((0, 2, 3), keepdim=True).clamp(min=1e-6)
    return (pixels[0] - mean) / deviation, (pixels[1] - mean) / deviation
