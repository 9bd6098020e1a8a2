"""A task of a table: what each column is, is found out by rules and said before it trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import wcwidth
from torch import Tensor

from tuitrain.catalog.table import check_column, target_name
from tuitrain.core.errors import Refused, WrongUse
from tuitrain.core.own import title_of
from tuitrain.core.problem import Card, outputs_of
from tuitrain.core.safe import safe
from tuitrain.core.spec import RunSpec
from tuitrain.engine.data import Dataset, Samples, standardised
from tuitrain.engine.tasks.opened import OpenedTask
from tuitrain.engine.tasks.table.columns import Column, ReadAs, read_column
from tuitrain.engine.tasks.table.features import Features, features
from tuitrain.engine.tasks.table.leak import leaks
from tuitrain.engine.tasks.table.new_rows import named, read_rows
from tuitrain.engine.tasks.table.read import Table, read_table
from tuitrain.engine.tasks.table.split import Split, at_random, by_column, by_group
from tuitrain.engine.tasks.table.target import Target, read_target, unit_in

_EPOCHS = 30
_MODELS = {"regression": "mlp:hidden=128"}
_MOST_LINES = 500
_NAME_CELLS = 32


def open_table(spec: RunSpec) -> OpenedTask:
    """Return the task of a CSV file, with the file's digest among the settings that it fills in.

    Raises WrongUse for what is no table or cannot be learned, Refused where the file has changed
    since the run began with it.
    """
    table = read_table(Path(spec.task), [*spec.as_category, *spec.as_date])
    _check_digest(spec, table)
    name = target_name(list(table.frame), spec.target)
    roles = _roles(spec, name, list(table.frame))
    target = read_target(name, table.frame[name], spec.kind)
    frame = table.frame.iloc[target.rows].reset_index(drop=True)
    split = _split(spec, target, frame)
    columns = [
        read_column(column, frame[column], roles.get(column)) for column in frame if column != name
    ]
    inputs = features(columns, split.train, split.val)
    warnings = tuple(leaks(columns, target, split))
    notes = [*table.notes, *target.notes, *split.notes, *_lines(columns, inputs)]
    defaults = {
        "model": _MODELS.get(target.kind, "mlp:hidden=256-128"), "epochs": _EPOCHS,
        "target": name, "kind": target.kind, "data_sha256": table.sha256,
    }  # fmt: skip
    card = Card(notes=tuple(notes), origin=spec.task)
    return OpenedTask(
        _dataset(inputs, target, split), card, defaults, warnings=warnings,
        libraries=("pandas", "scikit-learn"),
        read_new=lambda paths: read_rows(paths, columns, frame, split.train, inputs),
        val_names=lambda: named(
            frame.iloc[split.val], table.lines[target.rows][split.val], columns
        ),
    )  # fmt: skip


def _check_digest(spec: RunSpec, table: Table) -> None:
    if spec.data_sha256 not in (None, table.sha256):
        raise Refused(
            f"{safe(title_of(spec.task))} has changed since the run began with it; put back what "
            "it was, or begin a new run"
        )


def _roles(spec: RunSpec, target: str, columns: Sequence[str]) -> Mapping[str, ReadAs]:
    """Return how columns are to be read, as the options say; WrongUse for one that is not there.

    The columns of --group and --split say nothing to a model.
    """
    check_column(target, columns)
    asked: dict[ReadAs, Sequence[str | None]] = {
        "number": spec.as_number, "category": spec.as_category, "date": spec.as_date,
        "dropped": [*spec.drop, spec.group, spec.split],
    }  # fmt: skip
    roles: dict[str, ReadAs] = {}
    for role, names in asked.items():
        for name in filter(None, names):
            check_column(name, columns)
            if roles.setdefault(name, role) != role or name == target:
                raise WrongUse(f"two options want column {safe(name)!r} to be different things")
            roles[name] = role
    return roles


def _split(spec: RunSpec, target: Target, frame: pd.DataFrame) -> Split:
    if spec.split is not None and spec.group is not None:
        raise WrongUse("--split says where each row belongs, so --group has no say: choose one")
    if spec.split is not None:
        return by_column(frame[spec.split])
    if spec.group is not None:
        return by_group(frame[spec.group])
    return at_random(target)


def _dataset(inputs: Features, target: Target, split: Split) -> Dataset:
    train, val, unit = (*_targets(target, split), 1.0)
    offset = 0.0
    if target.kind == "regression":
        if not float(train.std(correction=0)) > 0:
            raise WrongUse(f"the target {safe(target.name)!r} has one value only in training rows")
        offset = float(train.mean())
        train, val, unit = standardised(train, val)
        if not bool(val.isfinite().all()):
            raise WrongUse(
                f"the target {safe(target.name)!r} varies by {unit:.3g} in training rows, and lies "
                "beyond any number of such deviations in a validation row"
            )
    outputs = outputs_of(target.kind, target.classes)
    return Dataset(
        target.kind, Samples(inputs.train, train), Samples(inputs.val, val), outputs, unit,
        target.classes, offset, unit_in(target.name),
    )  # fmt: skip


def _targets(target: Target, split: Split) -> tuple[Tensor, Tensor]:
    """Return class indices int64, 0 or 1 float32, or numbers float64 of both parts."""
    values = target.values.astype(np.float32) if target.kind == "binary" else target.values
    return torch.from_numpy(values[split.train]), torch.from_numpy(values[split.val])


def _lines(columns: Sequence[Column], inputs: Features) -> Iterator[str]:
    """Yield the table of columns: name, what it is read as, and what was done to it."""
    if not columns:
        return
    rows = [(safe(column.name, limit=_NAME_CELLS), column.read_as, _done(column, inputs))
            for column in columns[:_MOST_LINES]]  # fmt: skip
    cells = max(wcwidth.wcswidth(name) for name in ["column", *(name for name, _, _ in rows)])
    yield f"{_padded('column', cells)}  {'read as':<8}  done"
    for name, read_as, done in rows:
        yield f"{_padded(name, cells)}  {read_as:<8}  {done}"
    if len(columns) > _MOST_LINES:
        yield f"and {len(columns) - _MOST_LINES:,} columns more"


def _padded(name: str, cells: int) -> str:
    return name + " " * (cells - wcwidth.wcswidth(name))


def _done(column: Column, inputs: Features) -> str:
    return "; ".join(filter(None, [column.note, inputs.done.get(column.name, "")]))
