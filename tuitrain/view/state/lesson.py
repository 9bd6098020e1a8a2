"""The catalogue's entry of a run's loss, for its texts and parameters."""

from __future__ import annotations

from tuitrain.catalog import LOSSES, Loss, read_options
from tuitrain.catalog.choice import Choice
from tuitrain.core.errors import WrongUse
from tuitrain.core.problem import Problem


def entry_of(problem: Problem, loss: str) -> Loss | None:
    """Return the entry of a loss; None for one of the run's own, and for an unknown one."""
    name = loss.partition(":")[0]
    return None if name in problem.own_losses else LOSSES.get(name)


def parameters(problem: Problem, loss: str) -> list[str]:
    """Return every `key=value` of a loss, including defaults; empty where they are not known."""
    entry = entry_of(problem, loss)
    if entry is None:
        return []
    try:
        values = read_options(entry, Choice.read("loss", loss).options)
    except WrongUse:
        return []  # another version of the catalogue has them
    options = entry.options
    return [
        f"{key}={options[key].write(value)}"
        for key, value in values.items()
        if options[key].is_for(problem.kind)
    ]
