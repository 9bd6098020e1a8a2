"""Diabetes: disease progression of 442 patients in one year (B. Efron et al., 2004)."""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from tuitrain.engine.data import Parts
from tuitrain.engine.tasks.normalise import normalised_columns


def diabetes() -> Parts:
    """Return 353 rows of 10 measurements with the progression, then 89 for validation."""
    table, progress = load_diabetes(return_X_y=True)
    train, val, *targets = train_test_split(table, progress, test_size=0.2, random_state=0)
    train_targets, val_targets = map(torch.from_numpy, targets)
    train, val = normalised_columns(train, val)
    return train, train_targets, val, val_targets
