"""A step and its batch: the loss along the step, and its most wrong samples before and after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tuitrain.core.detail import LINE_SEARCH, SAMPLE
from tuitrain.core.events import Detail
from tuitrain.core.numbers import rounded
from tuitrain.engine.aside import model_aside
from tuitrain.engine.criteria import copied
from tuitrain.engine.device import read
from tuitrain.engine.pixels import pixels_of
from tuitrain.engine.state import rng
from tuitrain.engine.step import parts_of
from tuitrain.engine.training import Training

PLACES = tuple(quarter / 4 for quarter in range(-4, 13))
"""In steps from the weights before it: 1 are those after it."""
_MOST_CLASSES = 100
_SAMPLES = 6
"""Of a batch, at most."""


class _Place(NamedTuple):
    """The loss of the batch and the outputs of the model at a place of the line."""

    loss: Tensor
    output: Tensor


@torch.no_grad()
def line_search(
    run: Training, before: Sequence[Tensor], batch: tuple[Any, Tensor], drawn: Mapping[str, Any]
) -> list[Detail]:
    """Return `core.detail.LineSearch` of the step just taken, and for classes `WrongSamples` of it.

    The training stays as it is. `before` are the weights before the step, and `drawn` is the state
    of the random number generators then, so that a dropout drops the same. Empty for a model that
    cannot be copied, or refuses its batch. Waits for the device.
    """
    try:
        line = dict(zip(PLACES, _along(run, before, batch, drawn), strict=True))
        losses = read([place.loss for place in line.values()])
        wrong = _wrong_samples(run, batch, line[0.0].output, line[1.0].output)
    except Exception:  # noqa: BLE001 - what is only looked at must not end the training
        return []
    bodies = {LINE_SEARCH: {"places": list(PLACES), "losses": rounded(losses)}, SAMPLE: wrong}
    return [Detail(run.take, run.step, name, body) for name, body in bodies.items() if body]


def _wrong_samples(
    run: Training, batch: tuple[Any, Tensor], before: Tensor, after: Tensor
) -> dict[str, Any]:
    """Return the samples whose classes had the lowest probabilities; nothing without classes."""
    target = batch[1]
    is_of_classes = run.data.kind == "multiclass" and (before.dim(), target.dim()) == (2, 1)
    if not is_of_classes or before.shape[1] > _MOST_CLASSES:
        return {}
    sureness = before.log_softmax(dim=1).gather(1, target[:, None]).nan_to_num(nan=-torch.inf)
    numbers = sureness[:, 0].argsort(stable=True)[:_SAMPLES].tolist()
    first, *others = [_sample(run, batch, number, before, after) for number in numbers]
    return {**first, "others": others}


def _sample(
    run: Training, batch: tuple[Any, Tensor], number: int, before: Tensor, after: Tensor
) -> dict[str, Any]:
    data, target = batch
    return {
        "number": number,
        "true": int(target[number]),
        "before": rounded(before[number].tolist()),
        "after": rounded(after[number].tolist()),
        "gradient": _gradient(run, before[number], target[number]),
        **(pixels_of(data[number]) if isinstance(data, Tensor) else {}),
    }


def _gradient(run: Training, logits: Tensor, true: Tensor) -> list[float]:
    """Return that of a sample's loss by its logits; empty for a loss that refuses one sample."""
    criterion = copied(run.criterion) if run.losses.is_own(run.loss_name) else run.criterion
    try:
        with torch.enable_grad():
            logits = logits.detach()[None].requires_grad_()
            (gradient,) = torch.autograd.grad(criterion(logits, true[None]), logits)
    except Exception:  # noqa: BLE001 - a loss of the user's own may raise anything
        return []
    return rounded(gradient[0].tolist())


def _along(
    run: Training, before: Sequence[Tensor], batch: tuple[Any, Tensor], drawn: Mapping[str, Any]
) -> Iterator[_Place]:
    criterion = copied(run.criterion) if run.losses.is_own(run.loss_name) else run.criterion
    after = [weight.clone() for weight in run.weights]
    batches = list(parts_of(run, *batch))
    with model_aside(run) as (model, weights):
        for place in PLACES:
            for weight, start, end in zip(weights, before, after, strict=True):
                weight.copy_(torch.lerp(start, end, place))
            rng.restore(drawn, run.device)
            parts = [(model(part), goal, share) for part, goal, share in batches]
            if run.team is not None and run.team.passes > len(batches):
                model(batches[-1][0])  # another rank has one more batch
            losses = [criterion(output, goal) * share for output, goal, share in parts]
            outputs = [output for output, _, _ in parts]
            yield _Place(
                torch.stack(losses).sum(), outputs[0] if len(outputs) == 1 else torch.cat(outputs)
            )
