"""Rows that a run has not seen, read as it reads its own: for `tuitrain predict`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tuitrain.core.errors import Refused, WrongUse
from tuitrain.core.safe import safe
from tuitrain.engine.data import Samples
from tuitrain.engine.tasks.opened import NewData
from tuitrain.engine.tasks.table.columns import Column, read_column
from tuitrain.engine.tasks.table.features import Features, features
from tuitrain.engine.tasks.table.read import read_table


def read_rows(
    path: Path, columns: Sequence[Column], frame: pd.DataFrame, train: np.ndarray, inputs: Features
) -> NewData:
    """Return the rows of a table as inputs of the model; their targets are not read.

    `frame` has the rows of the run, `train` those that medians and categories are of, `inputs` what
    became of them. Raises WrongUse for a table without a column that the model uses, Refused where
    its cells would let the run's own be read in another way.
    """
    used = [column for column in columns if column.read_as != "dropped"]
    as_text = [column.name for column in used if column.read_as in ("category", "date")]
    new = read_table(path, as_text).frame
    missing = [column.name for column in used if column.name not in new]
    if missing:
        raise WrongUse(f"{safe(path.name)} has no column {safe(missing[0], limit=60)!r}, "
                       "which the model needs")  # fmt: skip
    both = pd.concat([frame, new], ignore_index=True)
    rows = np.arange(len(frame), len(both))
    reread = [read_column(column.name, both[column.name], column.read_as) for column in used]
    found = features(reread, train, rows)
    if not torch.equal(found.train, inputs.train):
        raise Refused(
            f"the cells of {safe(path.name)} are not of the kind that the run was trained on"
        )
    return NewData([], Samples(found.val, torch.zeros(len(rows))), has_targets=False)
