"""Handwritten digits: 1,797 grey images of 8x8 pixels (E. Alpaydin, C. Kaynak, UCI, 1998)."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from tuitrain.engine.data import Dataset, Samples


def load() -> Dataset:
    """Return 1,437 training and 360 validation images (N, 1, 8, 8), classes balanced."""
    images, digits = load_digits(return_X_y=True)
    parts = train_test_split(images, digits, test_size=0.2, random_state=0, stratify=digits)
    train_images, val_images, train_digits, val_digits = map(torch.from_numpy, parts)
    mean, deviation = train_images.mean(), train_images.std()

    def samples(images: torch.Tensor, digits: torch.Tensor) -> Samples:
        normal = ((images - mean) / deviation).float()
        return Samples(normal.reshape(-1, 1, 8, 8), digits.long())

    return Dataset(
        "multiclass", samples(train_images, train_digits), samples(val_images, val_digits), 10,
        classes=tuple(map(str, range(10))),
    )  # fmt: skip
