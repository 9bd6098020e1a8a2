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
        tree, constant, error = DecisionTreeRegressor, known.mean(), np.square
    else:
        tree, constant, error = DecisionTreeClassifier, np.bincount(known).argmax(), np.sign
    before = np.abs(error(truth - constant)).mean()
    if not before > 0:
        return 0.0
    guess = tree(max_leaf_nodes=_LEAVES, random_state=0).fit(values[train], known)
    return float(1 - np.abs(error(truth - guess.predict(values[val]))).mean() / before)


def _numbers(column: Column) -> np.ndarray:
    """Return (N, 1): numbers, seconds, or the places of categories in their order."""
    assert column.values is not None
    match column.read_as:
        case "number":
            found = column.values.to_numpy(np.float64)
        case "date":
            found = column.values.astype("int64").to_numpy(np.float64)
        case _:
            found = pd.factorize(column.values, sort=True)[0].astype(np.float64)
    return np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0)[:, None]
