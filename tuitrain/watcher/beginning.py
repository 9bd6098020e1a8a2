"""What a watched loop turns out to be at its first step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.optim import Optimizer

from tuitrain.core.events import RunStarted
from tuitrain.core.problem import Card, Problem
from tuitrain.engine.device import environment
from tuitrain.watcher.watched import Watched


def run_started(  # noqa: PLR0913 - what was seen at the first step
    loop: Watched, title: str, optimizer: Optimizer | None, loader: Any, *,
    device: torch.device, passes: int, notes: Sequence[str] = (),
) -> RunStarted:  # fmt: skip
    """Return the event, with notes for its card; `passes` are the first step's backward passes."""
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
    sums = [f"{passes} backward passes a step: its loss is their sum"] if passes > 1 else []
    return RunStarted(
        str(device), loop.length, loop.parts.parameters, _samples(loader), 0, environment(device),
        loop.settings,
        Problem(loop.kind or (loop.call.kind if loop.call else None), (), loop.own_loss,
                loop.losses),
        Card(title, "watch", (f"watched: {seen}", *sums, *notes)), model_name, optimizer_name,
    )  # fmt: skip


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
