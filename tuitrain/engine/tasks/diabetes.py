"""Diabetes: how far the disease went in a year, of 442 patients (B. Efron et al., 2004)."""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes

from tuitrain.engine.data import Dataset, Samples
from tuitrain.engine.tasks.tables import split_and_normalised


def load() -> Dataset:
    """Return 353 training and 89 validation samples (N, 10); targets standardised for training."""
    table, progress = load_diabetes(return_X_y=True)
    train, val, *targets = split_and_normalised(table, progress, val_share=0.2)
    mean, deviation = targets[0].mean(), targets[0].std()
    train_targets, val_targets = (
        torch.from_numpy((part - mean) / deviation).float() for part in targets
    )
    return Dataset(
        "regression", Samples(train, train_targets), Samples(val, val_targets), 1,
        unit=float(deviation),
    )  # fmt: skip
