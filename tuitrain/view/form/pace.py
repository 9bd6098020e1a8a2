"""The paces that the keys step through, in batches per second; None: no limit."""

from __future__ import annotations

from itertools import chain

_RUNGS = list(chain.from_iterable((1 * t, 2 * t, 5 * t) for t in (0.1, 1, 10, 100, 1000)))


def slower(pace: float | None, rate: float | None) -> float:
    """Return the next rung below the pace; if there is no limit, below the present rate."""
    top = pace or rate or _RUNGS[-1]
    return max((rung for rung in _RUNGS if rung < top), default=_RUNGS[0])


def faster(pace: float | None) -> float | None:
    """Return the next rung above the pace; None (no limit) above the last one."""
    if pace is None:
        return None
    return min((rung for rung in _RUNGS if rung > pace), default=None)
