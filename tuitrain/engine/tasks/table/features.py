"""Columns as the numbers that a model takes, prepared as the training rows have it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import psutil
import torch
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import Tensor

from tuitrain.core.errors import Refused, WrongUse
from tuitrain.core.safe import safe
from tuitrain.engine.tasks.table.columns import MOST_CATEGORIES, Column
from tuitrain.engine.tasks.table.dates import date_parts

_CHUNK = 1 << 16
_FLOAT_BYTES = 4
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Features:
    """Inputs (N, F) float32 of both parts, and what was done to each column by its name."""

    train: Tensor
    val: Tensor
    done: Mapping[str, str]


def features(columns: Sequence[Column], train: np.ndarray, val: np.ndarray) -> Features:
    """Return the columns as numbers; medians, deviations and categories are of `train` rows.

    Raises WrongUse if no column is left, Refused where they do not fit into memory.
    """
    numbers, dates, categories = (
        [column for column in columns if column.read_as == kind]
        for kind in ("number", "date", "category")
    )
    if not (numbers or dates or categories):
        raise WrongUse(_why_none_is_left(columns))
    parts = {column.name: date_parts(_values(column)) for column in dates}
    frame = _frame(numbers, dates, parts, categories)
    blocks = _blocks(frame, len(numbers) + len(dates), len(categories))
    prepared = ColumnTransformer(blocks, sparse_threshold=0)
    prepared.fit(frame.iloc[train])
    width = prepared.transform(frame.iloc[train[:1]]).shape[1]
    _check_room(len(train) + len(val), width)
    inputs = [_transformed(prepared, frame, rows, width) for rows in (train, val)]
    done = {column.name: _of_number(column) for column in numbers}
    done |= {column.name: _of_date(column) for column in dates}
    if categories:
        done |= dict(_of_categories(categories, prepared.named_transformers_["categories"]))
    return Features(inputs[0], inputs[1], done)


def _why_none_is_left(columns: Sequence[Column]) -> str:
    reasons = [f"{safe(column.name, limit=30)!r} ({column.note})" for column in columns]
    more = f" and {len(reasons) - _NAMED:,} more" if len(reasons) > _NAMED else ""
    dropped = f", dropped: {', '.join(reasons[:_NAMED])}{more}" if reasons else ""
    return (
        f"no column is left to predict the target from{dropped}; "
        "--as-number, --as-category and --as-date take a column nonetheless"
    )


def _frame(
    numbers: Sequence[Column], dates: Sequence[Column], parts: Mapping[str, np.ndarray],
    categories: Sequence[Column],
) -> pd.DataFrame:  # fmt: skip
    """Return numbers and the dates' seconds, the dates' circles, and places of categories."""
    columns: list[Any] = [_values(column).to_numpy() for column in numbers]
    columns += [parts[column.name][:, 0] for column in dates]
    columns += [circle for column in dates for circle in parts[column.name][:, 1:].T]
    columns += [pd.factorize(_values(column), sort=True)[0] for column in categories]
    return pd.DataFrame({f"{number}": values for number, values in enumerate(columns)})


def _blocks(frame: pd.DataFrame, numbers: int, categories: int) -> list[tuple[str, Any, list[str]]]:
    names, circles = list(frame), len(frame.columns) - categories
    filled = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    encoder = OneHotEncoder(
        max_categories=MOST_CATEGORIES, handle_unknown="infrequent_if_exist", sparse_output=False,
        dtype=np.float32,
    )  # fmt: skip
    blocks = [
        ("numbers", make_pipeline(filled, StandardScaler()), names[:numbers]),
        ("dates", SimpleImputer(strategy="constant", fill_value=0.0), names[numbers:circles]),
        ("categories", encoder, names[circles:]),
    ]
    return [block for block in blocks if block[2]]


def _check_room(rows: int, width: int) -> None:
    needed, free = rows * width * _FLOAT_BYTES, psutil.virtual_memory().available
    if needed > free // 2:
        raise Refused(
            f"{rows:,} rows of {width:,} numbers take {needed / (1 << 30):.1f} GiB, and "
            f"{free / (1 << 30):.1f} are free; --drop the columns with many values"
        )


def _transformed(
    prepared: ColumnTransformer, frame: pd.DataFrame, rows: np.ndarray, width: int
) -> Tensor:
    """Return (len(rows), width) float32; a part at a time, since what is between is float64."""
    blocks = np.empty((len(rows), width), np.float32)
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        blocks[part] = prepared.transform(frame.iloc[rows[part]])
    return torch.from_numpy(blocks)


def _values(column: Column) -> pd.Series:
    assert column.values is not None
    return column.values


def _of_number(column: Column) -> str:
    return "; ".join([*_filled(column), "standardised"])


def _of_date(column: Column) -> str:
    what = "seconds, and the time of year, week and day as sine and cosine"
    return "; ".join([*_filled(column), what])


def _filled(column: Column) -> Iterator[str]:
    if column.gaps:
        yield f"{', '.join(column.gaps)}: the median, and a bit that says so"


def _of_categories(
    categories: Sequence[Column], encoder: OneHotEncoder
) -> Iterator[tuple[str, str]]:
    for number, column in enumerate(categories):
        count = len(encoder.categories_[number])
        rare = encoder.infrequent_categories_[number]
        filled = [f"{gap}: a category of their own" for gap in column.gaps]
        if rare is None:
            what = f"one-hot into {count}"
        else:
            what = f"the {count - len(rare)} commonest of {count:,} and other, one-hot into "
            what += f"{count - len(rare) + 1}"
        yield column.name, "; ".join([*filled, what])
