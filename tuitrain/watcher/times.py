"""The time that the parts of a watched step take, on the host's clock.

On an accelerator a part ends when its work is queued; the wait for the work shows in the part in
which the loop waits, such as a `loss.item()`.

A step has marks: a part and the nanoseconds at its end, a part and the nanoseconds at its end, and
so on. Hooks add them by `marks += part, perf_counter_ns()`, since a call would cost as much as the
rest of a hook.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter_ns

DATA, ZERO_GRAD, FORWARD, LOSS, BACKWARD, STEP, SKIPPED = range(7)
_MOST = 1000


def begin(at: int) -> list[int]:
    """Return the first mark of a step."""
    return [SKIPPED, at]


def skip(marks: list[int]) -> None:
    """Leave out the time since the last mark, as that of a validation or a pause.

    Very many marks are those of a loop that takes no steps; most of them are left out.
    """
    del marks[_MOST:]
    marks += SKIPPED, perf_counter_ns()


def microseconds(marks: Sequence[int]) -> list[int]:
    """Return the whole microseconds of each part of a step; parts may come several times."""
    totals, before = [0] * 7, marks[1]
    rest = iter(marks)
    for part, at in zip(rest, rest, strict=True):
        totals[part] += at - before
        before = at
    return [total // 1000 for total in totals[:SKIPPED]]
