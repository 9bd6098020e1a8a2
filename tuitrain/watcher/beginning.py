"""What a watched loop turns out to be at its first step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from tuitrain.core.events import RunStarted
from tuitrain.core.problem import Card, Problem
from tuitrain.engine.device import environment
from tuitrain.watcher.watched import Watched

_FACTORS, _SUMS = ("Mul", "Div", "ToCopy"), ("Add", "Sub")
"""Names of nodes of a graph begin with them."""


def run_started(
    loop: Watched, title: str, optimizer: Optimizer | None, loader: Any, *,
    device: torch.device, passes: int, has_other_terms: bool,
) -> RunStarted:  # fmt: skip
    """Return the event; `passes` is the number of backward passes of the first step.

    `has_other_terms`: what is propagated is the loss function's value plus something else.
    """
    model = loop.parts.models[0] if loop.parts.models else None
    model_name = type(model).__name__ if model is not None else ""
    optimizer_name = type(optimizer).__name__ if optimizer is not None else ""
    seen = ", ".join(
        [
            f"optimizer {optimizer_name}" if optimizer_name
            else "no optimizer: a backward pass is a step",
            f"loss {loop.own_loss}" if loop.call else "a loss of its own, which cannot be swapped",
            f"model {model_name}" if model_name else "no module that has all its parameters",
            f"{length(loader):,} batches an epoch" if length(loader)
            else "no loader: no epochs",
        ]
    )  # fmt: skip
    notes = [f"watched: {seen}"]
    if passes > 1:
        notes.append(f"{passes} backward passes a step: its loss is their sum")
    if has_other_terms:
        notes.append(f"the loss has more terms than {loop.own_loss}: a swap changes that one alone")
    return RunStarted(
        str(device), loop.length, loop.parts.parameters, _samples(loader), 0, environment(device),
        loop.settings,
        Problem(loop.kind or (loop.call.kind if loop.call else None), (), loop.own_loss,
                loop.losses),
        Card(title, "watch", tuple(notes)), model_name, optimizer_name,
    )  # fmt: skip


def has_other_terms(loss: Any, returned: Tensor | None) -> bool:
    """Return whether a loss is a sum, one term of which a loss function may have returned.

    A factor, as the division by the number of accumulated batches, makes it no sum.
    """
    if returned is None or not isinstance(loss, Tensor):
        return False
    node = loss.grad_fn
    while node is not None and node is not returned.grad_fn:
        if not node.name().startswith(_FACTORS):
            return node.name().startswith(_SUMS)
        node = next((before for before, _ in node.next_functions if before is not None), None)
    return False


def length(loader: Any) -> int:
    """Return the number of a loader's batches; 0 if it does not know."""
    try:
        return len(loader)
    except TypeError:
        return 0


def _samples(loader: Any) -> int:
    """Return the number of a loader's samples; 0 if it does not know."""
    try:
        return len(loader.dataset)
    except (AttributeError, TypeError):
        return 0
