"""The parts of a training step."""

from __future__ import annotations

from collections.abc import Iterable

from tuitrain.core.series import SHARES
from tuitrain.store.series import Summary


def timings(series: Iterable[Summary]) -> dict[str, float]:
    """Return the shares of the last second spent in each of the five steps and waiting for data.

    Empty if none is recorded yet.
    """
    last = {summary.series.name: summary.last for summary in series}
    return {part: last[of.name] for part, of in SHARES.items() if of.name in last}
