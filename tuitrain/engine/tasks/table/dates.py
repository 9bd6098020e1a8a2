"""Dates of a table: read where their format leaves no doubt, and made into numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd

_FORMATS = (
    "ISO8601", "%Y/%m/%d", "%Y/%m/%d %H:%M", "%Y/%m/%d %H:%M:%S", "%Y.%m.%d",
    "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S",
    "%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y",
    "%a, %d %b %Y %H:%M:%S %z",
)  # fmt: skip
_SLASHES = ("%m/%d/%Y", "%m/%d/%y", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S")
"""The month comes first in some countries and the day in others: data may decide."""
_SAMPLE = 500
_LEAST_SHARE = 0.95
PARTS = ("seconds", "month sin", "month cos", "weekday sin", "weekday cos", "hour sin", "hour cos")
"""The numbers that a date becomes."""


def read_dates(cells: pd.Series, *, is_asked: bool = False) -> pd.Series | None:
    """Return the dates in a column of text, in UTC, NaT where there is none; None for other text.

    Nearly all cells must have one format. Where day and month can be told apart by no date of the
    column, it has no dates, unless it `is_asked` to: then the month comes first.
    """
    known = cells.dropna()
    sample = known.iloc[:: max(1, len(known) // _SAMPLE)]
    least = 0.0 if is_asked else _LEAST_SHARE
    slashes = _slashes(known, is_asked=is_asked) if sample.str.contains("/").any() else []
    formats = [*_FORMATS, *slashes, *["%Y%m%d", "%Y"] * is_asked]
    shares = {form: _parsed(sample, form).notna().mean() for form in formats}
    best = max(shares, key=lambda form: shares[form])
    if not len(sample) or shares[best] <= 0 or shares[best] < least:
        return None
    dates = _parsed(cells, best)
    return dates if dates.notna().sum() >= least * len(known) else None


def _parsed(cells: pd.Series, form: str) -> pd.Series:
    return pd.to_datetime(cells, format=form, utc=True, errors="coerce")


def _slashes(known: pd.Series, *, is_asked: bool) -> list[str]:
    """Return the formats with slashes in the order of day and month that the dates show."""
    pairs = known.drop_duplicates().str.extract(r"^\s*(\d{1,2})/(\d{1,2})/\d").dropna().astype(int)
    has_late = [bool((pairs[column] > 12).any()) for column in (0, 1)]
    day_first = [form.replace("%m/%d", "%d/%m") for form in _SLASHES]
    match has_late:
        case [True, False]:
            return day_first
        case [False, True]:
            return list(_SLASHES)
        case _:
            return list(_SLASHES) * is_asked


def _since(moment: pd.Timestamp, dates: pd.Series) -> pd.Series:
    try:
        return dates - moment
    except pd.errors.OutOfBoundsDatetime:  # nanoseconds reach from 1677 to 2262
        return dates - moment.as_unit("us")


def date_parts(dates: pd.Series) -> np.ndarray:
    """Return (N, 7) float64: `PARTS` of each date, NaN where there is none."""
    seconds = _since(pd.Timestamp(0, tz="UTC"), dates) / pd.Timedelta(seconds=1)
    hours = dates.dt.hour + dates.dt.minute / 60
    turns = [(dates.dt.month - 1) / 12, dates.dt.day_of_week / 7, hours / 24]
    circles = [wave(2 * np.pi * turn) for turn in turns for wave in (np.sin, np.cos)]
    return np.column_stack([seconds, *circles]).astype(np.float64)
