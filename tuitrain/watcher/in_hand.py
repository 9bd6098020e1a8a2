"""The step that a watched loop is taking, as far as it got."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from torch.optim import Optimizer

from tuitrain.record.recorder import TimedBatch
from tuitrain.watcher.propagated import Propagated
from tuitrain.watcher.sources import Sources
from tuitrain.watcher.times import PARTS


class StepInHand:
    """What is known of a step before it is over; the hooks change it. Times are nanoseconds."""

    __slots__ = (
        "begun", "calm", "last", "look", "look_at", "may_be_calm", "propagated", "record",
        "samples", "sources", "spent",
    )  # fmt: skip

    def __init__(
        self,
        record: Callable[[TimedBatch], None] | None = None,
        look: Callable[[Optimizer], None] | None = None,
    ) -> None:
        """`record` is called with each calm step, and `look` after one when it is time to look
        around; without them no step is calm."""
        self.record, self.look = record or _nothing, look or _nothing
        self.may_be_calm = record is not None
        """Whether a step can be calm at all: not once a hook failed, nor among several ranks."""
        self.calm: Optimizer | None = None
        """The optimizer whose next step is only recorded: no loss is swapped, and `before_step`
        need not be called, but for a step that has a closure. None: there may be more to do."""
        self.begun = False
        """Whether an optimizer is within a step of its own: it may call that of its base class."""
        self.propagated, self.sources = Propagated(), Sources()
        self.spent, self.last = [0] * PARTS, perf_counter_ns()
        """The time of each part so far, and the end of what was measured last."""
        self.samples = 0
        """Those of the loss call that awaits its backward pass; 0 without one."""
        self.look_at = 0
        """When to look around after a step; 0: after this one."""


def _nothing(_: Any) -> None:
    """Do nothing."""
