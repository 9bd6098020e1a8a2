"""The time that the parts of a watched step take, on the host's clock.

On an accelerator a part ends when its work is queued; the wait for the work shows in the part in
which the loop waits, such as a `loss.item()`.

A step has the nanoseconds of each part in a list, [0] * PARTS at first. Hooks add to them, since a
call would cost as much as the rest of a hook.
"""

from __future__ import annotations

from collections.abc import Sequence

DATA, ZERO_GRAD, FORWARD, LOSS, BACKWARD, STEP = range(6)
PARTS = 6


def microseconds(spent: Sequence[int]) -> list[int]:
    """Return the whole microseconds of each part of a step."""
    return [part // 1000 for part in spent]
