"""Shares of the training time: of each of the five parts of a step, and of waiting for data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tuitrain.core.series import SHARES, Series
from tuitrain.store.schema import BatchRow


def shares_of(rows: Iterable[BatchRow]) -> Mapping[Series, float]:
    """Return the share of each part in the time of these batches; {} if none was measured."""
    parts = [row[-len(SHARES) :] for row in rows]
    durations = [sum(column) for column in zip(*parts, strict=True)]
    total = sum(durations)
    if not total:
        return {}
    return {series: us / total for series, us in zip(SHARES.values(), durations, strict=True)}
