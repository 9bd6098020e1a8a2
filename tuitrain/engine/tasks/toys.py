"""Toys: points in a plane, or on a line, that a panel can show whole; drawn from a fixed seed."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import make_circles, make_moons
from sklearn.model_selection import train_test_split

from tuitrain.engine.data import Parts
from tuitrain.engine.tasks.normalise import Numbers, normalised_columns


def split_points(points: Numbers, labels: Numbers) -> Parts:
    """Return four fifths of the points (N, 2) and their labels 0 or 1 (N,), then the others."""
    train, val, *targets = train_test_split(
        points, labels, test_size=0.2, random_state=0, stratify=labels
    )
    train_targets, val_targets = (torch.from_numpy(part).float() for part in targets)
    train, val = normalised_columns(train, val)
    return train, train_targets, val, val_targets


def moons() -> Parts:
    """Return 800 points (N, 2) of two half moons and the moon of each, then 200 for validation."""
    points, moon = make_moons(1_000, noise=0.2, random_state=0)
    return split_points(points, moon)


def circles() -> Parts:
    """Return 800 points (N, 2) of two circles, 1 for the inner one, then 200 for validation."""
    points, is_inner = make_circles(1_000, noise=0.1, factor=0.5, random_state=0)
    return split_points(points, is_inner)


def spirals() -> Parts:
    """Return 800 points (N, 2) of two spirals and the spiral of each, then 200 for validation.

    Each winds around the other one and a half times (K. Lang, M. Witbrock, 1988).
    """
    numbers = np.random.default_rng(0)
    spiral = np.arange(1_000) % 2
    turn = 3 * np.pi * np.sqrt(numbers.uniform(0.02, 1, 1_000))
    angle = turn + np.pi * spiral
    points = np.stack((turn * np.cos(angle), turn * np.sin(angle)), axis=1)
    points += numbers.normal(0, 0.3, points.shape)
    return split_points(points, spiral)


def sine() -> Parts:
    """Return 400 numbers (N, 1) and a noisy sine of each, with some outliers; 100 to validate."""
    numbers = np.random.default_rng(0)
    x = numbers.uniform(-2 * np.pi, 2 * np.pi, 500)
    y = np.sin(x) + numbers.normal(0, 0.1, 500)
    outliers = numbers.choice(500, 15, replace=False)
    y[outliers] += numbers.uniform(2, 4, 15)
    train, val, *targets = train_test_split(x[:, None], y, test_size=0.2, random_state=0)
    train_targets, val_targets = map(torch.from_numpy, targets)
    train, val = normalised_columns(train, val)
    return train, train_targets, val, val_targets
