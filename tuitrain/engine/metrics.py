"""Metrics of an epoch: accumulated on the device, and read once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from tuitrain.engine.device import precision, read

_PENDING = 256


class RunningMean:
    """The mean of batch losses, weighted by samples, accumulated without waiting for the device.

    Nonfinite batches, which were skipped, are excluded and counted.
    """

    def __init__(self) -> None:
        self._pending: list[tuple[Tensor, int, Tensor | None]] = []
        self._sums: Tensor | None = None
        """(3,): the weighted sum of losses, its samples, and the number of nonfinite batches."""

    def add(self, loss: Tensor, samples: int, nonfinite: Tensor | None = None) -> None:
        """Add the mean loss of one batch, a detached scalar, and the batch's number of samples.

        `nonfinite` is a scalar on the same device, 1 for a skipped batch and else 0.
        """
        self._pending.append((loss, samples, nonfinite))
        if len(self._pending) == _PENDING:
            self._sums, self._pending = self._summed(), []

    @classmethod
    def of(cls, state: Mapping[str, Any], device: torch.device) -> RunningMean:
        """Return the mean that `state` came from; older states do not count nonfinite batches."""
        mean = cls()
        if "sums" in state:
            sums, nonfinite = state["sums"], state["bad"]
        else:
            total, samples = float(state["total"]), state["samples"]
            sums = torch.tensor([total, samples, 0.0], dtype=torch.float64)
            nonfinite = torch.zeros(len(state["counts"]))
        mean._sums = sums.to(device, precision(device))
        losses, flags = state["losses"].to(device).unbind(), nonfinite.to(device).unbind()
        mean._pending = list(zip(losses, state["counts"], flags, strict=True))
        return mean

    def state(self) -> dict[str, Any]:
        """Return the exact state for a checkpoint, without waiting for the device."""
        losses = [loss for loss, _, _ in self._pending]
        return {
            "sums": torch.zeros(3, dtype=torch.float64) if self._sums is None else self._sums,
            "losses": torch.stack(losses) if losses else torch.empty(0),
            "counts": [samples for _, samples, _ in self._pending],
            "bad": self._nonfinite() if losses else torch.empty(0),
        }

    def value(self) -> float:
        """Return the mean so far; NaN before the first finite batch. Waits for the device."""
        return self.result()[0]

    def result(self) -> tuple[float, int]:
        """Return the mean so far and the number of nonfinite batches. Waits for the device."""
        if not self._pending and self._sums is None:
            return math.nan, 0
        total, samples, skipped = self._summed().tolist()
        return total / samples if samples else math.nan, int(skipped)

    def _summed(self) -> Tensor:
        if not self._pending:
            assert self._sums is not None
            return self._sums
        losses = torch.stack([loss for loss, _, _ in self._pending])
        losses = losses.to(precision(losses.device))
        counts = torch.tensor([samples for _, samples, _ in self._pending], dtype=losses.dtype)
        skipped = self._nonfinite() != 0
        weights = counts.to(losses.device, non_blocking=True).masked_fill(skipped, 0)
        total = losses.masked_fill(skipped, 0) @ weights
        sums = torch.stack((total, weights.sum(), skipped.sum()))
        return sums if self._sums is None else self._sums + sums

    def _nonfinite(self) -> Tensor:
        """Return one flag per pending batch, 1 if it is nonfinite and else 0."""
        finite = torch.zeros((), device=self._pending[0][0].device)
        return torch.stack([finite if flag is None else flag for _, _, flag in self._pending])


Confusion = list[list[int]]
"""Number of samples by true class (row) and predicted class (column)."""


class Evaluation(NamedTuple):
    """The metrics of a validation, and its confusion matrix."""

    metrics: dict[str, float]
    """By name, in the order of `Problem.metrics`."""
    confusion: Confusion | None = None
    """None for regression."""


def metrics_of(
    kind: str | None, outputs: Tensor, targets: Tensor, *, unit: float = 1.0
) -> dict[str, float]:
    """Return the metrics of `evaluate`, without the confusion matrix."""
    return evaluate(kind, outputs, targets, unit=unit).metrics


def evaluate(
    kind: str | None, outputs: Tensor, targets: Tensor, *, unit: float = 1.0
) -> Evaluation:
    """Return the metrics of a validation and its confusion matrix; waits for the device once.

    The shapes of `outputs`, (N, C) or (N, 1), and `targets`, (N,), are those of
    `tuitrain.engine.losses`. Errors are in the targets' original unit: `unit` is the size of one
    standardised unit in it.
    """
    match kind:
        case "multiclass":
            predicted, classes = outputs.argmax(dim=1), outputs.shape[1]
            positive = functional.one_hot(targets, classes).T
            # in float32, logits that nearly agree would tie
            precise = outputs.to(precision(outputs.device))
            areas = auroc(log_odds(precise).T.contiguous(), positive)
            return _of_classes(predicted, targets, classes, areas)
        case "binary":
            logits, labels = outputs.flatten(), targets.long()
            areas = auroc(logits[None, :], labels[None, :])
            return _of_classes((logits > 0).long(), labels, 2, areas)
        case "regression":
            return Evaluation(_of_numbers(outputs.flatten(), targets, unit))
        case _:
            return Evaluation({})


def _of_classes(predicted: Tensor, targets: Tensor, classes: int, areas: Tensor) -> Evaluation:
    pairs = torch.bincount(targets * classes + predicted, minlength=classes * classes)
    confusion: Confusion = pairs.reshape(classes, classes).tolist()
    correct = [confusion[index][index] for index in range(classes)]
    # F1 of a class: twice the correct ones over the sum of its true and its predicted ones
    rows, columns = map(sum, confusion), map(sum, zip(*confusion, strict=True))
    both = [row + column for row, column in zip(rows, columns, strict=True)]
    f1 = [2 * hits / total for hits, total in zip(correct, both, strict=True) if total]
    known = [area for area in areas.tolist() if not math.isnan(area)]
    metrics = {
        "accuracy": sum(correct) / len(targets),
        "f1_macro": sum(f1) / len(f1),
        "auroc": sum(known) / len(known) if known else math.nan,
    }
    return Evaluation(metrics, confusion)


def _of_numbers(predicted: Tensor, targets: Tensor, unit: float) -> dict[str, float]:
    precise = targets.to(precision(targets.device))
    errors = predicted - precise
    squared, spread = errors.square().sum(), (precise - precise.mean()).square().sum()
    share = (1 - squared / spread).masked_fill((targets == targets[0]).all(), math.nan)
    mse, mae, r2 = read([squared / len(errors), errors.abs().mean(), share])
    return {"rmse": unit * math.sqrt(mse), "mae": unit * mae, "r2": r2}


def log_odds(logits: Tensor) -> Tensor:
    """Return log(p / (1 - p)) of the softmax p of `logits` (N, C): z minus the others' logsumexp.

    It ranks samples as p does, also where p rounds to 0 or 1.
    """
    top = logits.argmax(dim=1, keepdim=True)
    shifted = logits - logits.gather(1, top)
    powers = shifted.exp()
    others = (powers.sum(dim=1, keepdim=True) - powers).log()  # at least 0, except at the top
    rest = shifted.scatter(1, top, -math.inf).logsumexp(dim=1, keepdim=True)
    return shifted - others.scatter(1, top, rest)


def auroc(scores: Tensor, positive: Tensor) -> Tensor:
    """Return the area under the ROC curve of each row of `scores` (R, N), `positive` 0 or 1 (R, N).

    It is the fraction of pairs of a positive and a negative that are ranked correctly; a tie counts
    half (H. Mann, D. Whitney, 1947). NaN for a row with one class only, and for one with a NaN.
    """
    ordered, order = scores.sort(dim=1)
    is_new = ordered[:, 1:] != ordered[:, :-1]
    tie = functional.pad(is_new, (1, 0)).cumsum(dim=1)  # the index of each distinct score
    labels = positive.gather(1, order)
    positives, negatives = (
        torch.zeros_like(labels).scatter_add(1, tie, counted) for counted in (labels, 1 - labels)
    )
    in_order = (positives * (2 * negatives.cumsum(dim=1) - negatives)).sum(dim=1)  # in halves
    pairs = 2 * positives.sum(dim=1) * negatives.sum(dim=1)
    areas = in_order.to(precision(scores.device)) / pairs
    return areas.masked_fill(scores.isnan().any(dim=1), math.nan)
