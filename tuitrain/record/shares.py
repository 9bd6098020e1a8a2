"""Where the time of the steps goes: the share of each of the five, and of waiting for data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tuitrain.core.series import SHARES, Series
from tuitrain.store.schema import BatchRow


def shares_of(rows: Iterable[BatchRow]) -> Mapping[Series, float]:
    """Return the share of each part in the time of all these batches; {} where none was told."""
    parts = [row[-len(SHARES) :] for row in rows]
    spent = [sum(column) for column in zip(*parts, strict=True)]
    whole = sum(spent)
    if not whole:
        return {}
    return {series: us / whole for series, us in zip(SHARES.values(), spent, strict=True)}
