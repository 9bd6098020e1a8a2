"""Columns that give the target away: each alone predicts it almost perfectly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tuitrain.core.safe import safe
from tuitrain.engine.tasks.table.columns import Column
from tuitrain.engine.tasks.table.split import Split
from tuitrain.engine.tasks.table.target import Target

_EXPLAINED = 0.99
_MOST_COLUMNS, _MOST_ROWS, _LEAST_ROWS = 500, 2_000, 20
_LEAVES = 256


def leaks(columns: Sequence[Column], target: Target, split: Split) -> Iterator[str]:
    """Yield a warning for each column of which a small tree explains the target's validation."""
    train, val = (rows[:: max(1, len(rows) // _MOST_ROWS)] for rows in (split.train, split.val))
    if len(val) < _LEAST_ROWS:
        return
    for column in [column for column in columns if column.values is not None][:_MOST_COLUMNS]:
        share = _explained(_numbers(column), target, train, val)
        if share > _EXPLAINED:
            yield (
                f"{safe(column.name, limit=40)!r} alone explains {share:.1%} of the target: is it "
                "known before the target is? --drop leaves it out"
            )


def _explained(values: np.ndarray, target: Target, train: np.ndarray, val: np.ndarray) -> float:
    """Return the share of the error of a constant that a tree on one column takes away."""
    known, truth = target.values[train], target.values[val]
    if target.kind == "regression":
        tree, constant, power = DecisionTreeRegressor, known.mean(), 2
    else:
        tree, constant, power = DecisionTreeClassifier, np.bincount(known).argmax(), 0
    trained = tree(max_leaf_nodes=_LEAVES, random_state=0).fit(values[train], known)
    before, after = (
        _error(truth - guess, power) for guess in (constant, trained.predict(values[val]))
    )
    return 1 - after / before if before > 0 else 0.0


def _error(differences: np.ndarray, power: int) -> float:
    """Return the mean of a power of them: 2 for squares, 0 for how many there are."""
    return float((np.abs(differences[differences != 0]) ** power).sum() / len(differences))


def _numbers(column: Column) -> np.ndarray:
    """Return (N, 1): numbers, seconds, or the places of categories in their order."""
    assert column.values is not None
    numbers: np.ndarray
    match column.read_as:
        case "number":
            numbers = column.values.to_numpy(np.float64)
        case "date":
            numbers = column.values.astype("int64").to_numpy(np.float64)
        case _:
            numbers = pd.factorize(column.values, sort=True)[0].astype(np.float64)
    return np.where(np.isfinite(numbers), numbers, 0.0)[:, None]
