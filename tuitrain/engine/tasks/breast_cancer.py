"""Breast cancer, Wisconsin: 569 tumours, benign or malignant (W. Wolberg et al., UCI, 1995)."""

from __future__ import annotations

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from tuitrain.engine.data import Parts
from tuitrain.engine.tasks.normalise import normalised_columns


def breast_cancer() -> Parts:
    """Return 398 rows of 30 measurements with 1 for benign, else 0, then 171 for validation."""
    table, benign = load_breast_cancer(return_X_y=True)
    train, val, *targets = train_test_split(
        table, benign, test_size=0.3, random_state=0, stratify=benign
    )
    train_targets, val_targets = (torch.from_numpy(part).float() for part in targets)
    train, val = normalised_columns(train, val)
    return train, train_targets, val, val_targets
