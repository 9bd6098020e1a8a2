"""The description of a watched loop at its first step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tuitrain import catalog
from tuitrain.catalog.losses import loss_aliases
from tuitrain.core.events import RunStarted
from tuitrain.core.problem import Card, Problem
from tuitrain.engine.device import environment
from tuitrain.watcher import ranks
from tuitrain.watcher.watched import Watched

_FACTORS, _SUMS = ("Mul", "Div", "ToCopy"), ("Add", "Sub")
"""Names of nodes of a graph begin with them."""


class FirstStep(NamedTuple):
    """The objects of a loop when it has taken a step."""

    optimizer: Optimizer | None
    loader: Any
    """The loader of its batch; None if there is none, or only its iterator is left."""
    has_loader: bool
    """Whether there is or was one."""
    device: torch.device
    passes: int
    """Its backward passes."""
    has_other_terms: bool
    """Whether what was propagated is the loss function's value plus something else."""
    notes: tuple[str, ...] = ()
    """Remarks of the user."""


def run_started(loop: Watched, title: str, first: FirstStep) -> RunStarted:
    """Return the event: the names, sizes and settings of the loop, and what cannot be seen."""
    model = loop.parts.models[0] if loop.parts.models else None
    kind = loop.kind or (loop.call.kind if loop.call else None)
    problem = Problem(
        kind, (), loop.own_loss, loop.losses, aliases=loss_aliases(loop.losses),
        options=catalog.loss_options(loop.losses, kind),
        misfits=catalog.misfits(loop.losses, kind),
    )  # fmt: skip
    return RunStarted(
        str(first.device), loop.length, loop.parts.parameters, _samples(first.loader), 0,
        environment(first.device) | _ranks(), loop.settings, problem,
        Card(title, tuple(_notes(loop, model, first)), _origin(first.loader)),
        "" if model is None else type(model).__name__,
        "" if first.optimizer is None else type(first.optimizer).__name__,
    )  # fmt: skip


def _ranks() -> dict[str, str]:
    """Return how many processes train together, as the runs of our own engine name it."""
    return {"ranks": str(count)} if (count := ranks.count()) > 1 else {}


def _origin(loader: Any) -> str:
    """Return the class of the data set that a loader reads; empty if it has none."""
    dataset = getattr(loader, "dataset", None)
    return "" if dataset is None else f"the script's {type(dataset).__name__}"


def _notes(loop: Watched, model: nn.Module | None, first: FirstStep) -> Iterator[str]:
    yield "watched: " + ", ".join(_seen(loop, model, first))
    if not first.passes:
        yield "no backward pass before its step (torch.autograd.grad has none): its loss is unknown"
    if first.passes > 1:
        yield f"{first.passes} backward passes a step: its loss is their sum"
    if first.has_other_terms:
        yield f"the loss has more terms than {loop.own_loss}: a swap changes that one alone"
    yield from first.notes


def _seen(loop: Watched, model: nn.Module | None, first: FirstStep) -> Iterator[str]:
    if first.optimizer is None:
        yield "no optimizer: a backward pass is a step, and its weights cannot be saved"
    else:
        yield f"optimizer {type(first.optimizer).__name__}"
        name = "no module that has all its parameters" if model is None else type(model).__name__
        yield f"model {name}"
    yield f"loss {loop.own_loss}" if loop.call else "a loss of its own, which cannot be swapped"
    batches = length(first.loader)
    unknown = "a loader of unknown length" if first.has_loader else "no loader: no epochs"
    yield f"{batches:,} batches an epoch" if batches else unknown


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
    with _unasked(loader), suppress(Exception):  # a script may say in its own way that it has none
        return len(loader)
    return 0


@contextmanager
def _unasked(loader: Any) -> Iterator[None]:
    """Let a loader forget that it was asked: it compares an answer with the samples that come."""
    name = "_IterableDataset_len_called"
    known = getattr(loader, name, None)
    try:
        yield
    finally:
        if hasattr(loader, name):
            setattr(loader, name, known)


def _samples(loader: Any) -> int:
    """Return the number of a loader's samples; 0 if it does not know."""
    with suppress(Exception):
        return len(loader.dataset)
    return 0
