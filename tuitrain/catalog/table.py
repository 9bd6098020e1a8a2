"""The columns of a table by its header alone, before anything is started for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tuitrain.core.csv_text import columns_of
from tuitrain.core.errors import WrongUse, nearest
from tuitrain.core.own import source_of
from tuitrain.core.safe import safe
from tuitrain.core.spec import RunSpec

_TARGETS = ("target", "label", "class", "y")
_SHOWN = 12


def check_table(spec: RunSpec) -> None:
    """Raise WrongUse if the task is a table without the columns that the options name."""
    if source_of(spec.task) != "table":
        return
    columns = columns_of(Path(spec.task))
    target = target_name(columns, spec.target)
    others = [*spec.drop, *spec.as_number, *spec.as_category, *spec.as_date]
    for name in (target, *others, *filter(None, (spec.group, spec.split))):
        check_column(name, columns)


def target_name(columns: Sequence[str], asked: str | None) -> str:
    """Return the column to predict: the one asked for, else one of the usual names."""
    if asked is not None:
        return asked
    usual = {name.casefold(): name for name in reversed(columns)}
    for name in _TARGETS:
        if name in usual:
            return usual[name]
    if len(columns) == 1:
        raise WrongUse(
            f"it has one column only, {safe(columns[0], limit=30)!r}: a table has two or more, "
            "with commas, semicolons, tabs or bars between them"
        )
    raise WrongUse(f"which column is to be predicted? --target one of: {_listed(columns)}")


def check_column(name: str, columns: Sequence[str]) -> None:
    """Raise WrongUse, with the names that there are, if a table has no such column."""
    if name in columns:
        return
    folded = {column.casefold(): column for column in reversed(columns)}
    near = nearest(name.casefold(), folded)
    hint = f"; did you mean {safe(folded[near], limit=60)!r}?" if near else ""
    raise WrongUse(f"no column {safe(name, limit=60)!r}; columns: {_listed(columns)}{hint}")


def _listed(columns: Sequence[str]) -> str:
    more = f", and {len(columns) - _SHOWN} more" if len(columns) > _SHOWN else ""
    return ", ".join(safe(name, limit=30) for name in columns[:_SHOWN]) + more
