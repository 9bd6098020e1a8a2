"""The predictions of a validation: scores by class, or numbers beside the true ones."""

from __future__ import annotations

import torch
from torch import Tensor

from tuitrain.core.detail import FIT, SCORES
from tuitrain.core.events import Detail
from tuitrain.core.numbers import rounded
from tuitrain.engine.device import read
from tuitrain.engine.loss_curves import places_of
from tuitrain.engine.training import Training

SCORE_BINS, RESIDUAL_BINS = 20, 41
_MOST_CLASSES = 100
_MOST_POINTS = 400
_MEDIANS = 6
"""Residuals beyond so many times the median of their sizes go into the outermost bins."""


def evenly_chosen(samples: int, most: int) -> slice:
    """Return a slice of at most `most` of so many samples, the first one among them."""
    return slice(None, None, max(1, -(-samples // most)))


@torch.no_grad()
def spread(run: Training, output: Tensor, target: Tensor) -> Detail | None:
    """Return `core.detail.Scores` or `Fit` of a validation, by the kind of problem.

    `output` (N, C) and `target` (N,) are those of all validation samples. None for another kind,
    for other shapes and for more than 100 classes. Waits for the device.
    """
    places = places_of(run.data.kind, output, target)
    if not len(places):
        return None
    if run.data.kind == "regression":
        return Detail(run.take, run.step, FIT, _fit(run, places, target))
    classes = run.data.class_count
    if classes > _MOST_CLASSES:
        return None
    counts = _by_class(places.float().sigmoid(), target.long(), classes)
    return Detail(run.take, run.step, SCORES, {"counts": counts.tolist()})


def _by_class(scores: Tensor, target: Tensor, classes: int) -> Tensor:
    """Return the histogram of each class, (classes, SCORE_BINS); NaN is in none of its bins."""
    bins = (scores * SCORE_BINS).clamp(0, SCORE_BINS - 1).nan_to_num(SCORE_BINS).long()
    size = SCORE_BINS + 1
    counts = torch.bincount(target * size + bins, minlength=classes * size)
    return counts.reshape(classes, size)[:, :SCORE_BINS]


def _fit(run: Training, residuals: Tensor, target: Tensor) -> dict[str, object]:
    unit, offset = run.data.unit, run.data.offset
    residuals = residuals.float() * unit
    finite = residuals[residuals.isfinite()]
    median, most = _median_and_most(finite.abs())
    limit = min(_MEDIANS * median, most) or most or 1.0
    bins = ((finite / limit + 1) / 2 * RESIDUAL_BINS).clamp(0, RESIDUAL_BINS - 1).long()
    some = evenly_chosen(len(target), _MOST_POINTS)
    true = target[some].float() * unit + offset
    return {
        "samples": len(target),
        "true": rounded(true.tolist()),
        "predicted": rounded((true + residuals[some]).tolist()),
        "mean": float(residuals.mean()),
        "median": median,
        "limit": limit,
        "counts": torch.bincount(bins, minlength=RESIDUAL_BINS).tolist(),
    }


def _median_and_most(sizes: Tensor) -> tuple[float, float]:
    if not len(sizes):
        return 0.0, 0.0
    median, most = read([sizes.median(), sizes.max()])
    return median, most
