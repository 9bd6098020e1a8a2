"""The validation samples that a model gets most wrong."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tuitrain.core.detail import WORST
from tuitrain.core.events import Detail
from tuitrain.engine.data import Samples
from tuitrain.engine.pixels import pixels_of
from tuitrain.engine.training import Training

_MOST = 12


@torch.no_grad()
def worst_samples(run: Training, output: Tensor, target: Tensor) -> Detail | None:
    """Return the most confidently wrong samples, of numbers the largest errors, the worst first.

    `output` (N, C) and `target` (N,) are those of all validation samples, in their order. None for
    a kind that has neither classes nor one number. Waits for the device.
    """
    if output.dim() != 2 or target.dim() != 1 or not len(target):
        return None
    match run.data.kind:
        case "multiclass":
            confidence, predicted = output.softmax(dim=1).max(dim=1)
        case "binary":
            yes = output.flatten().sigmoid()
            confidence, predicted = torch.maximum(yes, 1 - yes), (yes > 0.5).long()
        case "regression":
            return _detail(run, (output.flatten() - target).abs(), output.flatten(), target)
        case _:
            return None
    is_wrong = predicted != target.long()
    return _detail(run, confidence.masked_fill(~is_wrong, -1.0), predicted, target)


def _detail(run: Training, badness: Tensor, predicted: Tensor, target: Tensor) -> Detail:
    scores, places = badness.topk(min(_MOST, len(badness)))
    unit, offset = run.data.unit, run.data.offset
    if run.data.kind == "regression":
        predicted, target = (numbers * unit + offset for numbers in (predicted, target))
        scores = scores * unit
    rows = zip(
        places.tolist(), target[places].tolist(), predicted[places].tolist(), scores.tolist(),
        strict=True,
    )  # fmt: skip
    samples = [
        {"number": place, "true": true, "predicted": guess, "score": score, **_picture(run, place)}
        for place, true, guess, score in rows
        if not score < 0
    ]
    return Detail(run.take, run.step, WORST, {"epoch": run.epoch, "samples": samples})


def _picture(run: Training, place: int) -> dict[str, Any]:
    """Return width and pixels of a validation sample, if it is an image."""
    val = run.data.val
    return pixels_of(val.inputs[place]) if isinstance(val, Samples) else {}
