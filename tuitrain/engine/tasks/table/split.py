"""Rows for training and for validation: always the same ones for the same table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupShuffleSplit

from tuitrain.core.errors import WrongUse
from tuitrain.core.safe import safe
from tuitrain.engine.tasks.python import split_indices
from tuitrain.engine.tasks.table.columns import MISSING, as_text
from tuitrain.engine.tasks.table.target import Target

_SHARE = 0.2
_TRAIN = ("train", "training")
_VAL = ("val", "valid", "validation")


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of both parts, in order, by their place among those that have a target."""

    train: np.ndarray
    val: np.ndarray
    notes: tuple[str, ...]


def at_random(target: Target) -> Split:
    """Return a fixed fifth for validation, in which each class keeps its share.

    A class with one row is in the training part only.
    """
    count = len(target.values)
    if target.kind == "regression":
        train, val = (part.numpy() for part in split_indices(count, _SHARE))
        return Split(train, val, (_sizes(train, val, "a fixed random fifth"),))
    labels = target.values.tolist()
    rows_of = Counter(labels)
    often = np.array([at for at, label in enumerate(labels) if rows_of[label] > 1], dtype=np.int64)
    alone = np.setdiff1d(np.arange(count), often)
    if not len(often):
        raise WrongUse(f"each of the {count} rows has a class of its own: nothing can be validated")
    train, val = (
        often[part.numpy()]
        for part in split_indices(len(often), _SHARE, [labels[at] for at in often])
    )
    train = np.sort(np.concatenate([train, alone]))
    notes = [_sizes(train, val, "a fixed fifth of each class")]
    notes += [f"{len(alone)} classes have one row, which is for training"] * bool(len(alone))
    return Split(train, val, tuple(notes))


def by_group(groups: pd.Series) -> Split:
    """Return about a fifth of the groups for validation; no group is in both parts."""
    codes, names = pd.factorize(as_text(groups).where(groups.notna(), MISSING))
    shown = repr(safe(groups.name, limit=40))
    if len(names) < 2:
        raise WrongUse(f"--group {shown} has one value only: nothing can be validated")
    splitter = GroupShuffleSplit(n_splits=1, test_size=_SHARE, random_state=0)
    train, val = next(splitter.split(codes, groups=codes))
    what = f"a fixed fifth of the {len(names):,} groups of {shown}"
    return Split(np.sort(train), np.sort(val), (_sizes(train, val, what),))


def by_column(parts: pd.Series) -> Split:
    """Return the rows that a column says are for training and for validation."""
    texts = as_text(parts).str.strip().str.casefold()
    shown = repr(safe(parts.name, limit=40))
    train, val = (np.flatnonzero(texts.isin(words)) for words in (_TRAIN, _VAL))
    if not len(train) or not len(val):
        values = ", ".join(safe(value, limit=20) for value in texts.dropna().unique()[:5])
        raise WrongUse(f"--split {shown} must say train or val in each row; it says: {values}")
    notes = [_sizes(train, val, f"as {shown} says")]
    others = len(texts) - len(train) - len(val)
    notes += [f"{others:,} rows of other parts are left out"] * bool(others)
    return Split(train, val, tuple(notes))


def _sizes(train: np.ndarray, val: np.ndarray, how: str) -> str:
    return f"{len(train):,} rows to train, {len(val):,} to validate: {how}"
