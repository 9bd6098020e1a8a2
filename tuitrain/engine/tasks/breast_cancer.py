"""Breast cancer, Wisconsin: 569 tumours, benign or malignant (W. Wolberg et al., UCI, 1995)."""

from __future__ import annotations

import torch
from sklearn.datasets import load_breast_cancer

from tuitrain.engine.data import Dataset, Samples
from tuitrain.engine.tasks.tables import split_and_normalised


def load() -> Dataset:
    """Return 398 training and 171 validation samples (N, 30); target 1 is benign."""
    table, benign = load_breast_cancer(return_X_y=True)
    train, val, *targets = split_and_normalised(table, benign, val_share=0.3, stratify=benign)
    train_targets, val_targets = (torch.from_numpy(part).float() for part in targets)
    return Dataset(
        "binary", Samples(train, train_targets), Samples(val, val_targets), 1,
        classes=("malignant", "benign"),
    )  # fmt: skip
