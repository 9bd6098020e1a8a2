"""Numbers about an epoch, gathered on the device and read once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tuitrain.core.catalog import Kind
from tuitrain.engine.device import read

_PENDING = 256


class RunningMean:
    """Mean of batch losses, weighted by their samples, without waiting for the device."""

    def __init__(self) -> None:
        self._pending: list[tuple[Tensor, int]] = []
        self._total: Tensor | float = 0.0
        self._samples = 0

    def add(self, loss: Tensor, samples: int) -> None:
        """Take one batch's mean loss, a detached scalar, and how many samples it is over."""
        self._pending.append((loss, samples))
        if len(self._pending) == _PENDING:
            self._fold()

    @classmethod
    def of(cls, state: Mapping[str, Any], device: torch.device) -> RunningMean:
        """Return the mean that `state` was taken from."""
        mean = cls()
        mean._total = state["total"].to(device)
        mean._samples = state["samples"]
        mean._pending = list(zip(state["losses"].to(device).unbind(), state["counts"], strict=True))
        return mean

    def state(self) -> dict[str, Any]:
        """Return what has been added, to the bit, without waiting for the device."""
        losses = [loss for loss, _ in self._pending]
        return {
            "total": torch.as_tensor(self._total, dtype=torch.float64),
            "samples": self._samples,
            "losses": torch.stack(losses) if losses else torch.empty(0),
            "counts": [count for _, count in self._pending],
        }

    def value(self) -> float:
        """Return the mean so far; NaN before the first batch. Waits for the device."""
        weights = [samples for _, samples in self._pending]
        samples = self._samples + sum(weights)
        if not samples:
            return math.nan
        losses = read([loss for loss, _ in self._pending])
        total = sum(loss * weight for loss, weight in zip(losses, weights, strict=True))
        return (float(self._total) + total) / samples

    def _fold(self) -> None:
        losses = torch.stack([loss for loss, _ in self._pending]).double()
        counts = [samples for _, samples in self._pending]
        weights = torch.tensor(counts, dtype=torch.float64, device=losses.device)
        self._total = self._total + losses @ weights
        self._samples += sum(counts)
        self._pending = []


def judged(kind: Kind, outputs: Tensor, targets: Tensor, *, unit: float = 1.0) -> dict[str, float]:
    """Return the metrics of a validation, the leading one first; waits for the device once.

    `outputs` (N, C) or (N, 1) and `targets` (N,) are as `tuitrain.engine.losses` has them; errors
    are given in the targets' own unit, of which one of ours is `unit`.
    """
    match kind:
        case "multiclass":
            probabilities = torch.softmax(outputs, dim=1)
            chosen, classes = outputs.argmax(dim=1), outputs.shape[1]
            each = functional.one_hot(targets, classes).T
            return _of_classes(chosen, targets, classes, auroc(probabilities.T.contiguous(), each))
        case "binary":
            logits, labels = outputs.squeeze(1), targets.long()
            areas = auroc(logits[None, :], labels[None, :])
            return _of_classes((logits > 0).long(), labels, 2, areas)
        case "regression":
            return _of_numbers(outputs.squeeze(1), targets, unit)


def _of_classes(chosen: Tensor, targets: Tensor, classes: int, areas: Tensor) -> dict[str, float]:
    pairs = torch.bincount(targets * classes + chosen, minlength=classes * classes)
    confusion = pairs.reshape(classes, classes).tolist()
    right = [confusion[each][each] for each in range(classes)]
    # true and predicted ones of each class: its F1 is twice the right ones over both
    both = [sum(confusion[each]) + sum(row[each] for row in confusion) for each in range(classes)]
    f1 = [2 * hit / total for hit, total in zip(right, both, strict=True) if total]
    known = [area for area in areas.tolist() if not math.isnan(area)]
    return {
        "accuracy": sum(right) / len(targets),
        "f1_macro": sum(f1) / len(f1),
        "auroc": sum(known) / len(known) if known else math.nan,
    }


def _of_numbers(predicted: Tensor, targets: Tensor, unit: float) -> dict[str, float]:
    errors = (predicted - targets).double()
    squared = errors.square().sum()
    spread = (targets.double() - targets.double().mean()).square().sum()
    mse, mae, r2 = read([squared / len(errors), errors.abs().mean(), 1 - squared / spread])
    return {"rmse": unit * math.sqrt(mse), "mae": unit * mae, "r2": r2}


def auroc(scores: Tensor, positive: Tensor) -> Tensor:
    """Return the area under the ROC curve of each row of `scores` (R, N), `positive` 0 or 1 (R, N).

    By ranks, ties at their mean (H. Mann, D. Whitney, 1947); NaN for a row of one kind only.
    """
    ordered = scores.sort(dim=1).values
    below = torch.searchsorted(ordered, scores)
    not_above = torch.searchsorted(ordered, scores, right=True)
    won = positive.to(torch.float64, memory_format=torch.contiguous_format)
    positives = won.sum(dim=1)
    negatives = positive.shape[1] - positives
    ranks = ((below + not_above + 1) * won).sum(dim=1) / 2
    return (ranks - positives * (positives + 1) / 2) / (positives * negatives)


def leading(kind: Kind) -> tuple[str, int]:
    """Return the metric by which epochs of such a problem are compared, and 1 if more is better."""
    return ("accuracy", 1) if kind != "regression" else ("rmse", -1)


class Best:
    """Knows the best value of the leading metric so far."""

    def __init__(self, kind: Kind) -> None:
        self.metric, self._sign = leading(kind)
        self.value = math.nan

    def improved_by(self, metrics: Mapping[str, float]) -> bool:
        """Take an epoch's metrics and return whether it is the best so far; NaN never is."""
        value = metrics[self.metric]
        if math.isnan(value) or self._sign * value <= self._sign * self.value:
            return False
        self.value = value
        return True


class Patience:
    """Counts the epochs in a row that did not lower the validation loss."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self.begin_anew()

    @property
    def is_out(self) -> bool:
        return self.limit is not None and self._waited >= self.limit

    def begin_anew(self) -> None:
        """Forget the epochs so far: the losses to come are not comparable with theirs."""
        self._lowest, self._waited = math.inf, 0

    def note(self, val_loss: float) -> None:
        """Take an epoch's validation loss; NaN is no improvement."""
        if val_loss < self._lowest:
            self._lowest, self._waited = val_loss, 0
        else:
            self._waited += 1

    def state(self) -> tuple[float, int]:
        """Return what `restore` takes."""
        return self._lowest, self._waited

    def restore(self, state: tuple[float, int]) -> None:
        """Go on from `state`."""
        self._lowest, self._waited = state
