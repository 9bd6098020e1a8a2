"""Handwritten digits: 1,797 grey images of 8x8 pixels (E. Alpaydin, C. Kaynak, UCI, 1998)."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from tuitrain.engine.data import Parts


def digits() -> Parts:
    """Return 1,437 images (N, 1, 8, 8) with classes (N,), then 360 for validation."""
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)
    train_images, val_images, train_labels, val_labels = map(torch.from_numpy, parts)
    mean, deviation = train_images.mean(), train_images.std()
    train = ((train_images - mean) / deviation).float().reshape(-1, 1, 8, 8)
    val = ((val_images - mean) / deviation).float().reshape(-1, 1, 8, 8)
    return train, train_labels.long(), val, val_labels.long()
