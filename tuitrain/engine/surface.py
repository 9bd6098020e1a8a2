"""The outputs of a model all over its inputs, if a sample is one or two numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tuitrain.core.detail import SURFACE
from tuitrain.core.events import Detail
from tuitrain.core.numbers import rounded
from tuitrain.engine.aside import model_aside
from tuitrain.engine.fit import evenly_chosen
from tuitrain.engine.training import Training

ACROSS, UP, POINTS = 72, 48, 129
"""Values of the first and of the second of two inputs; values of a single input."""
_MOST_SAMPLES = 200
_MOST_CLASSES, _MOST_CURVES = 256, 12
"""Those of two inputs are recorded as bytes, those of one input as curves."""
_MARGIN = 0.05
"""Of the samples' range, on each side."""
_AT_ONCE = 512


class _Said(NamedTuple):
    """The outputs of a model for samples."""

    predicted: Tensor
    """(N,): classes, or numbers in their own unit."""
    values: Tensor
    """(N, C): the probability of each class (binary: of class 1), or the number."""


def has_surface(inputs: Any) -> bool:
    """Return whether each sample of a batch is one or two floating-point numbers."""
    return (
        isinstance(inputs, Tensor)
        and inputs.is_floating_point()
        and len(inputs) > 0
        and inputs[0].numel() in (1, 2)
    )


@torch.no_grad()
def surface(run: Training, inputs: Tensor, output: Tensor, target: Tensor) -> Detail | None:
    """Return `core.detail.Surface` of the model in evaluation mode; the training stays as it is.

    `inputs` (N, ...), of one or two numbers each, `output` (N, C) and `target` (N,) are those of
    all validation samples. None for a kind without classes or one number, for too many classes, and
    for a model that cannot be copied or refuses the grid. Waits for the device.
    """
    if run.data.kind not in ("multiclass", "binary", "regression") or target.dim() != 1:
        return None
    flat = inputs.reshape(len(inputs), -1)
    low, high = _range(flat)
    grid = _grid(low, high)
    try:
        with model_aside(run) as (model, _):
            outputs = _outputs(model, grid.reshape(-1, *inputs.shape[1:]))
            outputs = run.losses.predictions(run.loss_name, outputs)
        drawn = _values(run, _said(run, outputs), inputs=len(low))
    except Exception:  # noqa: BLE001 - what is only looked at must not end the training
        return None
    if drawn is None:
        return None
    some = evenly_chosen(len(target), _MOST_SAMPLES)
    targets = target[some].float()
    if run.data.kind == "regression":
        targets = targets * run.data.unit + run.data.offset
    body = {
        "epoch": run.epoch,
        "low": rounded(low.tolist()),
        "high": rounded(high.tolist()),
        "inputs": [rounded(sample) for sample in flat[some].tolist()],
        "targets": rounded(targets.tolist()),
        "predicted": rounded(_said(run, output[some]).predicted.tolist()),
    }
    return Detail(run.take, run.step, SURFACE, body | drawn)


def _range(samples: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least and the greatest value of each input, with a margin."""
    low, high = samples.amin(dim=0), samples.amax(dim=0)
    margin = torch.where(high > low, _MARGIN * (high - low), torch.ones_like(low))
    return low - margin, high + margin


def _grid(low: Tensor, high: Tensor) -> Tensor:
    """Return the points, (N, 1) or (N, 2): of two inputs, the first one varies faster."""
    sizes = (POINTS,) if len(low) == 1 else (ACROSS, UP)
    axes: list[Tensor] = [
        from_ + (to - from_) * torch.linspace(0, 1, size, dtype=low.dtype, device=low.device)
        for from_, to, size in zip(low, high, sizes, strict=True)
    ]
    if len(axes) == 1:
        return axes[0][:, None]
    second, first = torch.meshgrid(axes[1], axes[0], indexing="ij")
    return torch.stack((first.flatten(), second.flatten()), dim=1)


def _outputs(model: nn.Module, points: Tensor) -> Tensor:
    model.eval()
    parts = torch.split(points, _AT_ONCE)
    outputs: list[Tensor] = [model(some) for some in parts]
    return torch.cat(outputs)


def _said(run: Training, output: Tensor) -> _Said:
    output = output.float()
    match run.data.kind:
        case "multiclass":
            chances = output.softmax(dim=1)
            return _Said(chances.argmax(dim=1), chances)
        case "binary":
            chances = output.reshape(-1, 1).sigmoid()
            return _Said((chances[:, 0] > 0.5).long(), chances)
        case _:
            numbers = output.reshape(-1, 1) * run.data.unit + run.data.offset
            return _Said(numbers[:, 0], numbers)


def _values(run: Training, said: _Said, *, inputs: int) -> dict[str, Any] | None:
    """Return the fields of `Surface` that a picture of one or of two inputs is drawn from."""
    outputs = said.values.shape[1]
    if inputs == 1:
        if outputs > _MOST_CURVES:
            return None
        return {"curves": [rounded(curve) for curve in said.values.T.tolist()]}
    if run.data.kind == "regression":
        numbers = said.values[:, 0]
        finite = numbers[numbers.isfinite()]
        least, most = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
        share = (numbers - least) / ((most - least) or 1.0)
        return {"levels": _rows(255 * share), "span": rounded((least, most))}
    if outputs > _MOST_CLASSES:
        return None
    chance = said.values.amax(dim=1) if outputs > 1 else said.values[:, 0]
    chance = torch.where(said.predicted > 0, chance, 1 - chance) if outputs == 1 else chance
    return {"levels": _rows(255 * chance), "classes": _rows(said.predicted)}


def _rows(numbers: Tensor) -> list[str]:
    """Return numbers from 0 to 255 as UP rows of hexadecimal digits, two a number."""
    whole = numbers.float().nan_to_num(0.0).round().clamp(0, 255).int()
    return [bytes(row).hex() for row in whole.reshape(UP, ACROSS).tolist()]
