"""Rows that a run has not seen, read as it reads its own: for `tuitrain predict`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tuitrain.core.errors import Refused, WrongUse
from tuitrain.core.safe import safe
from tuitrain.engine.data import Samples
from tuitrain.engine.tasks.opened import Names, NewData
from tuitrain.engine.tasks.table.columns import Column, as_text, gaps_in, read_column
from tuitrain.engine.tasks.table.features import Features, features
from tuitrain.engine.tasks.table.read import Table, read_table

_MOST_NOTES = 20
_SHOWN_VALUES = 3
_OURS = ("file", "line", "target", "prediction")


def read_rows(
    paths: Sequence[Path], columns: Sequence[Column], frame: pd.DataFrame, train: np.ndarray,
    inputs: Features,
) -> NewData:  # fmt: skip
    """Return the rows of tables as inputs of the model; their targets are not read.

    `frame` has the rows of the run, `train` those that medians and categories are of, `inputs` what
    became of them. Raises WrongUse for a table without a column that the model uses, Refused where
    its cells would let the run's own be read in another way.
    """
    used = [column for column in columns if column.read_as != "dropped"]
    tables = [_read(path, used) for path in paths]
    new = pd.concat([table.frame for table in tables], ignore_index=True)
    both = pd.concat([frame, new], ignore_index=True)
    rows = np.arange(len(frame), len(both))
    reread = [read_column(column.name, both[column.name], column.read_as) for column in used]
    prepared = features(reread, train, rows)
    if not torch.equal(prepared.train, inputs.train):
        raise Refused(
            f"the cells of {safe(paths[0].name)} are not of the kind that the run was trained on"
        )
    notes = [note for table in tables for note in table.left_out]
    notes += _bounded([note for column in reread if (note := _doubts(column, both, train, rows))])
    lines = np.concatenate([table.lines for table in tables])
    names = named(new, lines, columns)
    if len(paths) > 1:
        files = [str(path) for path, table in zip(paths, tables, strict=True) for _ in table.lines]
        names = Names(
            ("file", *names.columns),
            [(file, *row) for file, row in zip(files, names.rows, strict=True)],
        )
    return NewData(
        names, Samples(prepared.val, torch.zeros(len(rows))), has_targets=False, notes=notes
    )


def named(frame: pd.DataFrame, lines: np.ndarray, columns: Sequence[Column]) -> Names:
    """Return what tells the rows from one another: their lines, and the ids of the run's table."""
    ids = [column.name for column in columns if column.is_id and column.name in frame]
    ids = [name for name in ids if name not in _OURS and not name.startswith("p(")]
    cells = [as_text(frame[name]).fillna("").tolist() for name in ids]
    return Names(("line", *ids), list(zip(lines.tolist(), *cells, strict=True)))


def _read(path: Path, used: Sequence[Column]) -> Table:
    as_text = [column.name for column in used if column.read_as in ("category", "date")]
    table = read_table(path, as_text)
    missing = [column.name for column in used if column.name not in table.frame]
    if missing:
        raise WrongUse(f"{safe(path.name)} has no column {safe(missing[0], limit=60)!r}, "
                       "which the model needs")  # fmt: skip
    return table


def _doubts(column: Column, both: pd.DataFrame, train: np.ndarray, rows: np.ndarray) -> str:
    """Return what the model cannot use of the new rows as it is; empty if it can use all."""
    assert column.values is not None
    values = column.values.iloc[rows]
    gaps = ", ".join(gaps_in(column.read_as, both[column.name].iloc[rows], values))
    said = [f"{gaps}: {_in_place(column)}"] if gaps else []
    if column.read_as == "category":
        said += _unseen(values, column.values.iloc[train])
    return f"{safe(column.name, limit=40)}: {'; '.join(said)}" if said else ""


def _in_place(column: Column) -> str:
    return "a category of their own" if column.read_as == "category" else "taken as the median"


def _unseen(values: pd.Series, trained: pd.Series) -> Iterator[str]:
    """Yield how many rows have a category that no row for training has."""
    strange = values[~values.isin(set(trained))]
    if len(strange):
        distinct = [repr(safe(value, limit=30)) for value in strange.unique()]
        shown = ", ".join(distinct[:_SHOWN_VALUES])
        more = f" and {len(distinct) - _SHOWN_VALUES:,} more" * (len(distinct) > _SHOWN_VALUES)
        yield f"{len(strange):,} with a value that training never saw: {shown}{more}"


def _bounded(notes: Sequence[str]) -> list[str]:
    more = len(notes) - _MOST_NOTES
    return [*notes[:_MOST_NOTES], *[f"and so for {more:,} columns more"] * (more > 0)]
