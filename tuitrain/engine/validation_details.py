"""The details of a validation, recorded beside its metrics for screens."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tuitrain.core.detail import CONFUSION, LABELS
from tuitrain.core.events import Detail
from tuitrain.engine.fit import spread
from tuitrain.engine.metrics import Confusion
from tuitrain.engine.surface import surface
from tuitrain.engine.training import Training
from tuitrain.engine.worst_samples import worst_samples

_MOST_CLASSES = 100
"""Confusion matrices of more classes, and results of more labels, are not recorded."""


class Validated(NamedTuple):
    """All validation samples, as the model saw them."""

    inputs: Tensor | None
    """(N, ...) where each is one or two numbers; else None."""
    output: Tensor
    """(N, ...)"""
    target: Tensor
    """(N, ...)"""


def validation_details(
    run: Training, seen: Validated, confusion: Confusion | None, *, with_samples: bool
) -> tuple[Detail, ...]:
    """Return the details of the validation that has just completed an epoch.

    `with_samples` adds what takes longer: the worst samples, and the surface of the model.
    """
    details = [_confusion(run, confusion), _labels(run, seen.output, seen.target)]
    details.append(spread(run, seen.output, seen.target))
    if with_samples:
        details.append(worst_samples(run, seen.output, seen.target))
        if seen.inputs is not None:
            details.append(surface(run, seen.inputs, seen.output, seen.target))
    return tuple(detail for detail in details if detail is not None)


def _confusion(run: Training, confusion: Confusion | None) -> Detail | None:
    if confusion is None or len(confusion) > _MOST_CLASSES:
        return None
    return Detail(run.take, run.step, CONFUSION, {"counts": confusion})


def _labels(run: Training, output: Tensor, target: Tensor) -> Detail | None:
    """Return `core.detail.Labels`; None for another kind and for too many labels."""
    if run.data.kind != "multilabel" or output.shape[1] > _MOST_CLASSES:
        return None
    given, true = output > 0, target > 0.5
    counts = torch.stack((given & true, true, given)).sum(dim=1).T
    return Detail(run.take, run.step, LABELS, {"counts": counts.tolist()})
