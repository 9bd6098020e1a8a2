"""Each loss as a function of one prediction, with its slope: what a screen draws of it."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from tuitrain.catalog import loss_named
from tuitrain.core.detail import LOSS_CURVES, Axis
from tuitrain.core.events import Detail
from tuitrain.core.numbers import rounded
from tuitrain.engine.criteria import copied
from tuitrain.engine.losses import Criterion
from tuitrain.engine.metrics import log_odds
from tuitrain.engine.state import rng
from tuitrain.engine.training import Training

POINTS = 65
_FARTHEST = {"log-odds": 10.0, "residual": 4.0}
"""Curves reach from minus this to this; residuals are those of the standardised targets."""
_AXES: dict[str | None, Axis] = {
    "multiclass": "log-odds", "binary": "log-odds", "multilabel": "log-odds",
    "regression": "residual",
}  # fmt: skip


def axis_of(kind: str | None) -> Axis | None:
    """Return what a single prediction is measured by; None for a kind that has no such number."""
    return _AXES.get(kind)


def places_of(kind: str | None, output: Tensor, target: Tensor) -> Tensor:
    """Return the place of each sample on the axis of its kind, (N,); (0,) where there is none."""
    if output.dim() != 2 or target.dim() != 1:
        return output.new_empty(0)
    match kind:
        case "multiclass":
            return log_odds(output).gather(1, target[:, None]).flatten()
        case "binary":
            return output.flatten() * (2 * target - 1)
        case "regression":
            return output.flatten() - target
        case _:
            return output.new_empty(0)


def loss_curves(run: Training) -> Detail | None:
    """Return the curve of each fitting loss and of the one in use, as `core.detail.LossCurves`.

    For classes the axis is the log-odds of the right class, the other classes being equally likely;
    a binary target, and that of the only label, is 1. None for a kind that has no axis.
    """
    axis = axis_of(run.data.kind)
    if axis is None:
        return None
    places = torch.linspace(-_FARTHEST[axis], _FARTHEST[axis], POINTS, device=run.device)
    names = dict.fromkeys([*run.losses.names, run.loss_name])
    curves = {name: curve for name in names if (curve := _curve(run, name, places)) is not None}
    body = {"axis": axis, "places": places.tolist(), "curves": curves}
    return Detail(run.take, run.step, LOSS_CURVES, body)


def _curve(run: Training, name: str, places: Tensor) -> dict[str, Any] | None:
    """Return values and slopes of a loss; None where it has no such curve.

    A loss of the user may refuse one sample.
    """
    is_own = run.losses.is_own(name)
    if not is_own and loss_named(name.partition(":")[0]).only_counts:
        return None  # it depends on the target, and not on the residual alone
    try:
        criterion = run.losses.criterion(name)
        # one that draws, or keeps a state, must not change training by being looked at
        with rng.preserved(run.device) if is_own else nullcontext(), torch.enable_grad():
            values, slopes = _values_and_slopes(
                run, copied(criterion) if is_own else criterion, places
            )
    except Exception:  # noqa: BLE001 - what is only looked at must not end the training
        return None
    return {"values": rounded(values.tolist()), "slopes": rounded(slopes.tolist())}


def _values_and_slopes(
    run: Training, criterion: Criterion, places: Tensor
) -> tuple[Tensor, Tensor]:
    places = places.clone().requires_grad_()
    outputs, target = _predictions(run, places)
    values = torch.stack([criterion(output[None], target) for output in outputs])
    (slopes,) = torch.autograd.grad(values.sum(), places)
    return values.detach(), slopes


def _predictions(run: Training, places: Tensor) -> tuple[Tensor, Tensor]:
    """Return outputs (POINTS, C) at these places, and the target (1,) of any of them."""
    if run.data.kind == "multiclass":
        others = run.data.outputs - 1
        right = places[:, None] + math.log(max(1, others))
        outputs = torch.cat((right, places.new_zeros(len(places), others)), dim=1)
        return outputs, torch.zeros(1, dtype=torch.int64, device=places.device)
    target = 0.0 if run.data.kind == "regression" else 1.0
    shape = (1, 1) if run.data.kind == "multilabel" else (1,)
    return places[:, None], places.new_full(shape, target).detach()
