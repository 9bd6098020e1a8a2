"""The loss of a batch along the step that was taken on it: was the learning rate too low?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from tuitrain.core.detail import LINE_SEARCH
from tuitrain.core.events import Detail
from tuitrain.core.numbers import rounded
from tuitrain.engine.aside import copied_model
from tuitrain.engine.criteria import copied
from tuitrain.engine.device import read
from tuitrain.engine.state import rng
from tuitrain.engine.step import parts_of
from tuitrain.engine.training import Training

PLACES = tuple(quarter / 4 for quarter in range(-4, 13))
"""In steps from the weights before it: 1 are those after it."""


@torch.no_grad()
def line_search(
    run: Training, before: Sequence[Tensor], batch: tuple[Any, Tensor], drawn: Mapping[str, Any]
) -> Detail | None:
    """Return `core.detail.LineSearch` of the step just taken; the training stays as it is.

    `before` are the weights before the step, and `drawn` is the state of the random number
    generators then, so that a dropout drops the same. None for a model that cannot be copied, or
    refuses its batch. Waits for the device.
    """
    try:
        losses = read(list(_losses(run, before, batch, drawn)))
    except Exception:  # noqa: BLE001 - what is only looked at must not end the training
        return None
    return Detail(
        run.take, run.step, LINE_SEARCH, {"places": list(PLACES), "losses": rounded(losses)}
    )


def _losses(
    run: Training, before: Sequence[Tensor], batch: tuple[Any, Tensor], drawn: Mapping[str, Any]
) -> Iterator[Tensor]:
    criterion = copied(run.criterion) if run.losses.is_own(run.loss_name) else run.criterion
    with copied_model(run) as model:
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        for place in PLACES:
            for weight, start, end in zip(weights, before, run.weights, strict=True):
                weight.copy_(torch.lerp(start, end, place))
            rng.restore(drawn, run.device)
            yield torch.stack(
                [
                    criterion(model(part), goal) * share
                    for part, goal, share in parts_of(run, *batch)
                ]
            ).sum()
