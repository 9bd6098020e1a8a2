"""The texts that teach a loss.

A run states which losses fit and what options they have. What a loss is and when to use it, some
1,500 characters each in one language, is not a fact about the run: it is looked up here by name,
and may be missing.
"""

from __future__ import annotations

from tuitrain.catalog import LOSSES, Loss
from tuitrain.core.problem import Problem


def entry_of(problem: Problem, loss: str) -> Loss | None:
    """Return the texts of a loss; None for one of the run's own, and for an unknown one."""
    name = loss.partition(":")[0]
    return None if name in problem.own_losses else LOSSES.get(name)
