"""The use of each column of a table to a model: numbers, categories, dates, or none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from tuitrain.core.errors import WrongUse
from tuitrain.core.safe import safe
from tuitrain.engine.tasks.table.dates import read_dates

ReadAs = Literal["number", "category", "date", "dropped"]
MISSING = "(missing)"
"""The category of cells without a value."""
MOST_CATEGORIES = 40
_SAMPLE = 100
_MOST_UNIQUE = 0.99
_FREE_TEXT = 0.5
"""Share of distinct texts above which they are names or prose, and no categories."""
_LONGEST_ID = 40
"""Characters; what is longer and unique is prose."""
_LARGEST = float(np.finfo(np.float32).max)
_KEYS = re.compile(r"(?:^|[_\W])(?:id|index|key|uuid)$", re.IGNORECASE)
_CAMEL_KEYS = re.compile(r"[a-z](?:I[Dd]|Index|Key|UUID|Uuid)$")


@dataclass(frozen=True, slots=True)
class Column:
    """A column as a model gets it."""

    name: str
    read_as: ReadAs
    values: pd.Series | None = None
    """Numbers with NaN, categories with MISSING, or dates with NaT; None if it is dropped."""
    note: str = ""
    """Why it is dropped."""
    gaps: tuple[str, ...] = ()
    """How many cells have no value, by reason."""
    is_id: bool = False
    """Whether it is dropped because it only names its rows."""


def read_column(name: str, cells: pd.Series, asked: ReadAs | None = None) -> Column:
    """Return a column by the rules, or as it was `asked` for; WrongUse where that cannot be."""
    match asked:
        case "number":
            return _number(name, cells, is_asked=True)
        case "category":
            return _category(name, cells)
        case "date":
            return _date(name, cells)
        case "dropped":
            return Column(name, "dropped", note="as asked")
        case None:
            return _by_rules(name, as_numbers_or_text(cells))


def as_numbers_or_text(cells: pd.Series) -> pd.Series:
    """Return cells as float64 or integers if all of them are numbers, else as text."""
    if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_bool_dtype(cells):
        return cells
    texts = cells if isinstance(cells.dtype, pd.StringDtype) else as_text(cells)
    sample = texts.dropna().iloc[:_SAMPLE]
    if not len(sample) or _parsed(sample).isna().any():
        return texts
    numbers = _parsed(texts)
    return numbers if (numbers.notna() == texts.notna()).all() else texts


def _parsed(texts: pd.Series) -> pd.Series:
    return pd.to_numeric(texts, errors="coerce").astype(np.float64)


def _by_rules(name: str, cells: pd.Series) -> Column:
    distinct = cells.nunique()
    if distinct == 0:
        return Column(name, "dropped", note="no values")
    if distinct == 1 and cells.notna().all():
        return Column(name, "dropped", note=f"one value only: {_shown(cells.iloc[0])}")
    if pd.api.types.is_numeric_dtype(cells):
        if why := _why_key(name, cells):
            return Column(name, "dropped", note=why, is_id=True)
        return _number(name, cells)
    if (dates := read_dates(cells)) is not None:
        return _dates(name, cells, dates)
    return _text(name, cells, distinct)


def _why_key(name: str, cells: pd.Series) -> str:
    """Return why a column of numbers only names its rows; empty if it does not."""
    known = cells.dropna().to_numpy(np.float64)
    if not np.isfinite(known).all() or (known % 1 != 0).any():
        return ""
    if len(known) == len(cells) > 2 and (np.diff(known) == 1).all():
        return "it counts the rows"
    if _KEYS.search(name) or _CAMEL_KEYS.search(name):
        return "a key by its name"
    return ""


def _text(name: str, cells: pd.Series, distinct: int) -> Column:
    known = int(cells.notna().sum())
    if distinct > max(2, _MOST_UNIQUE * known):
        is_id = int(cells.str.len().max()) <= _LONGEST_ID
        alike = "no two alike" if distinct == known else "nearly all of them differ"
        note = f"{distinct:,} texts in {known:,} rows: {alike}"
        if numbers := int(_parsed(cells).notna().sum()):
            note = f"{note}; {numbers:,} are numbers"
        return Column(name, "dropped", note=note, is_id=is_id)
    if distinct > max(MOST_CATEGORIES, _FREE_TEXT * known):
        return Column(name, "dropped", note=f"free text: {distinct:,} texts in {known:,} rows")
    return _category(name, cells)


def _category(name: str, cells: pd.Series) -> Column:
    values = as_text(cells).where(cells.notna(), MISSING)
    return Column(name, "category", values, gaps=gaps_in("category", cells, values))


def as_text(cells: pd.Series) -> pd.Series:
    """Return each cell as text; whole numbers without a fraction, however they were read."""
    if pd.api.types.is_float_dtype(cells):
        return cells.map(lambda value: f"{value:.15g}", na_action="ignore").astype(object)
    return cells.astype(object).map(str, na_action="ignore")


def _number(name: str, cells: pd.Series, *, is_asked: bool = False) -> Column:
    numbers = _parsed(cells).to_numpy()
    if is_asked and np.isnan(numbers).all():
        raise WrongUse(f"column {safe(name)!r} has no numbers")
    values = pd.Series(np.where(np.abs(numbers) <= _LARGEST, numbers, np.nan))
    return Column(name, "number", values, gaps=gaps_in("number", cells, values))


def _date(name: str, cells: pd.Series) -> Column:
    texts = as_text(cells)
    dates = read_dates(texts, is_asked=True)
    if dates is None:
        raise WrongUse(f"column {safe(name)!r} has no dates in a format that is known")
    return _dates(name, texts, dates)


def _dates(name: str, cells: pd.Series, dates: pd.Series) -> Column:
    return Column(name, "date", dates, gaps=gaps_in("date", cells, dates))


def gaps_in(read_as: ReadAs, cells: pd.Series, values: pd.Series) -> tuple[str, ...]:
    """Return how many of the cells have no value, by reason, each cell once."""
    is_there = cells.notna().to_numpy()
    lost = cells[is_there & values.isna().to_numpy()]
    is_number = _parsed(lost).notna() if read_as == "number" else lost.notna()
    reasons = {
        "missing": cells[~is_there],
        "not a number": lost[~is_number],
        "infinite or beyond what float32 holds": lost[is_number],
    }
    if read_as == "date":
        reasons = {"missing": cells[~is_there], "in another format": lost}
    return tuple(
        f"{len(found):,} {reason}"
        + (f" ({_shown(found.iloc[0])!r})" if reason != "missing" else "")
        for reason, found in reasons.items()
        if len(found)
    )


def _shown(value: object) -> str:
    return safe(value, limit=30)
