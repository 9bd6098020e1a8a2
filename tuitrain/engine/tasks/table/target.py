"""The column to be predicted: which one it is, the kind of problem, and its values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tuitrain.core.errors import WrongUse
from tuitrain.core.safe import safe
from tuitrain.engine.tasks.table.columns import as_numbers_or_text, as_text
from tuitrain.engine.tasks.table.read import is_with_comma

MOST_CLASSES = 1_000
_SHOWN_CLASSES = 6
_LARGEST = float(np.finfo(np.float32).max)


_UNIT = re.compile(r".*\S\s*[\[(]([^\[\]()]{1,20})[\])]\s*")


@dataclass(frozen=True, slots=True)
class Target:
    """The values to be predicted, of the rows that have one."""

    name: str
    kind: str
    rows: np.ndarray
    """Indices of the rows that have a value."""
    values: np.ndarray
    """Of these rows: class indices int64, or numbers float64."""
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def unit_in(column: str) -> str:
    """Return the unit that the name of a column has in brackets at its end, as in `mass [kg]`."""
    matched = _UNIT.fullmatch(column)
    return matched[1].strip() if matched else ""


def read_target(name: str, cells: pd.Series, asked_kind: str | None) -> Target:
    """Return the target; WrongUse if nothing can be learned of it, or not as that kind."""
    shown = repr(safe(name, limit=40))
    cells = as_numbers_or_text(cells)
    known = cells.notna().to_numpy()
    if pd.api.types.is_numeric_dtype(cells):
        known = known & (np.abs(cells.to_numpy(np.float64)) <= _LARGEST)
    rows = np.flatnonzero(known)
    cells = cells.iloc[rows]
    distinct = cells.nunique()
    if distinct < 2:
        what = f"one value only, {safe(cells.iloc[0], limit=30)}" if distinct else "no values"
        raise WrongUse(f"the target {shown} has {what}: there is nothing to learn")
    kind, why = kind_of(cells)
    reason = f"since {why}"
    if asked_kind is not None:
        kind, reason = asked_kind, "as chosen"
    missing = len(known) - len(rows)
    left_out = [f"{missing:,} rows without a target are left out"] * bool(missing)
    if kind == "regression":
        notes = [f"target {shown}: regression, {reason}", *left_out]
        return Target(name, kind, rows, _numbers(cells, shown), (), tuple(notes))
    if distinct > MOST_CLASSES or (kind == "binary" and distinct != 2):
        what = "two" if kind == "binary" else f"at most {MOST_CLASSES:,}"
        raise WrongUse(f"the target {shown} has {distinct:,} values; {kind} takes {what}")
    values, classes = _classes(cells)
    once = int((np.bincount(values) == 1).sum())
    if once > distinct / 2:
        raise WrongUse(
            f"of the {distinct:,} values of the target {shown} {once:,} come once, and a class of "
            "one row cannot be learned: choose another --target, or --kind regression for numbers"
        )
    notes = [
        f"target {shown}: {kind}, {reason}",
        _class_note(values, classes, kind),
        *left_out,
    ]
    return Target(name, kind, rows, values, classes, tuple(notes))


def kind_of(cells: pd.Series) -> tuple[str, str]:
    """Return the kind of problem, and why, by AutoGluon's rule; `cells` are all known."""
    distinct, count = cells.nunique(), len(cells)
    if distinct == 2:
        return "binary", "it has two values"
    if not pd.api.types.is_numeric_dtype(cells):
        return "multiclass", f"it is text, of {distinct:,} values"
    if (cells % 1 != 0).any():
        return "regression", "it has fractions"
    share = 0.1 if count <= 1_000 else 0.05
    if distinct <= min(MOST_CLASSES, share * count):
        return "multiclass", f"it has whole numbers, {distinct:,} different ones"
    return "regression", f"it has whole numbers, {distinct:,} different ones in {count:,} rows"


def _numbers(cells: pd.Series, shown: str) -> np.ndarray:
    if not pd.api.types.is_numeric_dtype(cells):
        if (with_comma := next((cell for cell in cells if is_with_comma(cell)), None)) is not None:
            raise WrongUse(
                f"the target {shown} has numbers such as {safe(with_comma, limit=30)!r}, and the "
                "table others with a decimal point: write all of them one way"
            )
        raise WrongUse(
            f"the target {shown} is text, such as {safe(cells.iloc[0], limit=30)!r}: "
            "it takes --kind binary or multiclass"
        )
    numbers: np.ndarray = cells.to_numpy(np.float64)
    return numbers


def _classes(cells: pd.Series) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return class indices and the classes' names, in the order of their values."""
    indices, values = pd.factorize(cells, sort=True)
    names = as_text(pd.Series(values))
    return indices.astype(np.int64), tuple(safe(name, limit=80) for name in names)


def _class_note(values: np.ndarray, classes: Sequence[str], kind: str) -> str:
    counts = np.bincount(values, minlength=len(classes))
    shown = [
        f"{safe(name, limit=30)} ({count:,})"
        for name, count in zip(classes[:_SHOWN_CLASSES], counts[:_SHOWN_CLASSES], strict=True)
    ]
    shown += [f"{len(classes) - _SHOWN_CLASSES} more"] * (len(classes) > _SHOWN_CLASSES)
    which = "; 1 stands for the second" if kind == "binary" else ""
    return f"classes: {', '.join(shown)}{which}"
