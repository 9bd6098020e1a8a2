"""What the tasks made of tables share: a split for good, and normalised measurements."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from torch import Tensor

Floats = NDArray[np.float64]


def split_and_normalised(
    table: Floats, targets: Floats, *, val_share: float, stratify: Floats | None = None
) -> tuple[Tensor, Tensor, Floats, Floats]:
    """Return training and validation inputs, then training and validation targets.

    Inputs (N, F) float32 have mean 0 and deviation 1 over the training part.
    """
    train, val, train_targets, val_targets = train_test_split(
        table, targets, test_size=val_share, random_state=0, stratify=stratify
    )
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    normal = [torch.from_numpy((part - mean) / deviation).float() for part in (train, val)]
    return normal[0], normal[1], train_targets, val_targets
