"""Metrics of an epoch: accumulated on the device, and read once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import mul
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from tuitrain.engine.device import on_device, precision, read

_PENDING = 256
_BINS = 15
TOP = 5


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
        weights = on_device(counts, losses.device).masked_fill(skipped, 0)
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

    The shapes of `outputs`, (N, C) or (N, 1), and `targets`, (N,) or (N, C), are those of
    `tuitrain.engine.losses`. Errors are in the targets' original unit: `unit` is the size of one
    standardised unit in it.
    """
    match kind:
        case "multiclass":
            return _of_multiclass(outputs, targets)
        case "binary":
            logits, labels = outputs.flatten(), targets.long()
            predicted = (logits > 0).long()
            sure = logits.to(precision(logits.device)).abs().sigmoid()
            scores = {
                "accuracy": binary_accuracy(logits, labels),
                "auroc": auroc(logits[None, :], labels[None, :])[0],
                "calibration_error": calibration_error(sure, predicted == labels),
            }
            return _of_classes(predicted, labels, 2, scores)
        case "multilabel":
            return Evaluation(_of_labels(outputs, targets))
        case "regression":
            return Evaluation(_of_numbers(outputs.flatten(), targets, unit))
        case _:
            return Evaluation({})


def _of_multiclass(outputs: Tensor, targets: Tensor) -> Evaluation:
    predicted, classes = outputs.argmax(dim=1), outputs.shape[1]
    # in float32, logits that nearly agree would tie
    precise = outputs.to(precision(outputs.device))
    positive = (torch.arange(classes, device=targets.device)[:, None] == targets).long()
    areas = auroc(log_odds(precise).T.contiguous(), positive)
    sure = precise.softmax(dim=1).gather(1, predicted[:, None]).flatten()
    scores = {
        "accuracy": class_accuracy(outputs, targets),
        "auroc": areas.nanmean(),
        "calibration_error": calibration_error(sure, predicted == targets),
    }
    if classes > TOP:
        scores = {"top5_accuracy": top_accuracy(precise, targets), **scores}
    return _of_classes(predicted, targets, classes, scores)


def _of_classes(
    predicted: Tensor, targets: Tensor, classes: int, scores: Mapping[str, Tensor]
) -> Evaluation:
    """Return the metrics of a confusion matrix, and the scores, which are device scalars."""
    pairs = torch.bincount(targets * classes + predicted, minlength=classes * classes)
    confusion: Confusion = pairs.reshape(classes, classes).tolist()
    scored = dict(zip(scores, read([*scores.values()]), strict=True))
    true, chosen = list(map(sum, confusion)), list(map(sum, zip(*confusion, strict=True)))
    correct = [confusion[index][index] for index in range(classes)]
    per_class = list(zip(correct, true, chosen, strict=True))
    # F1 of a class: twice the correct ones over the sum of its true and its predicted ones
    f1 = [2 * hits / (row + column) for hits, row, column in per_class if row + column]
    recalls = [hits / row for hits, row, _ in per_class if row]
    metrics = {
        "accuracy": scored.pop("accuracy"),
        "f1_macro": sum(f1) / len(f1),
        "auroc": scored.pop("auroc"),
        "balanced_accuracy": sum(recalls) / len(recalls),
        "mcc": _correlation(sum(correct), true, chosen),
        **scored,
    }
    return Evaluation(metrics, confusion)


def _correlation(correct: int, true: Sequence[int], chosen: Sequence[int]) -> float:
    """Return the correlation of true and predicted classes (J. Gorodkin, 2004).

    `true` and `chosen` are the numbers of samples by class; 0 where all are of one class.
    """
    samples = sum(true)
    together = correct * samples - sum(map(mul, true, chosen))
    spread = math.prod(samples**2 - sum(map(mul, counts, counts)) for counts in (true, chosen))
    return together / math.sqrt(spread) if spread else 0.0


def _of_labels(logits: Tensor, targets: Tensor) -> dict[str, float]:
    predicted, true = logits > 0, targets > 0.5
    hits = (predicted & true).sum(dim=0)
    # as scikit-learn has it, 0 for a label that is neither true nor predicted
    f1 = 2 * hits / (predicted.sum(dim=0) + true.sum(dim=0)).clamp_min(1)
    is_right = (predicted == true).to(precision(logits.device))
    scores = {
        "f1_macro": f1.to(is_right.dtype).mean(),
        "auroc": auroc(logits.T.contiguous(), true.long().T.contiguous()).nanmean(),
        "label_accuracy": is_right.mean(),
        "subset_accuracy": is_right.amin(dim=1).mean(),
    }
    return dict(zip(scores, read([*scores.values()]), strict=True))


def _of_numbers(predicted: Tensor, targets: Tensor, unit: float) -> dict[str, float]:
    precise = targets.to(precision(targets.device))
    errors = predicted - precise
    squared, spread = errors.square().sum(), (precise - precise.mean()).square().sum()
    rms = root_mean_square(predicted, targets, unit)
    share = (1 - squared / spread).masked_fill((targets == targets[0]).all(), math.nan)
    sizes = errors.abs().sort().values
    median = (sizes[(len(sizes) - 1) // 2] + sizes[len(sizes) // 2]) / 2
    rmse, mae, r2, middle = read([rms, sizes.mean(), share, median])
    return {
        "rmse": rmse,
        "mae": unit * mae,
        "r2": r2,
        "median_error": unit * middle,
    }


def class_accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the share of N samples whose likeliest class by `logits` (N, C) is the right one."""
    return (logits.argmax(dim=1) == targets).to(precision(logits.device)).mean()


def binary_accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the share of N samples whose label is right: 1 where the logit is above 0, else 0."""
    is_right = (logits.flatten() > 0) == targets.bool()
    return is_right.to(precision(logits.device)).mean()


def root_mean_square(predicted: Tensor, targets: Tensor, unit: float) -> Tensor:
    """Return the root of the mean squared error in the targets' own unit.

    `predicted` (N, 1) or (N,) and `targets` (N,) are standardised; `unit` is their deviation.
    """
    errors = predicted.flatten() - targets.to(precision(targets.device))
    return errors.square().mean().sqrt() * unit


def top_accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the share of samples whose class is among the TOP likeliest; NaN if a logit is NaN.

    Of equal logits the later class comes first, as in scikit-learn.
    """
    own = logits.gather(1, targets[:, None])
    is_later = torch.arange(logits.shape[1], device=logits.device) > targets[:, None]
    ahead = ((logits > own) | ((logits == own) & is_later)).sum(dim=1)
    return (ahead < TOP).to(logits.dtype).mean().masked_fill(logits.isnan().any(), math.nan)


def calibration_error(confidence: Tensor, is_right: Tensor) -> Tensor:
    """Return the expected calibration error (C. Guo et al., 2017) of N predictions.

    It is the mean distance of confidence, the probability of the predicted class, and accuracy
    within bins of equal width, weighted by their samples; NaN if a confidence is.
    """
    bins = (confidence * _BINS).ceil().clamp(1, _BINS).nan_to_num(1)  # (low, high]
    numbers = torch.arange(1, _BINS + 1, device=bins.device)
    # a product, since sums by index differ from run to run on a GPU
    gaps = (is_right.to(confidence.dtype) - confidence) @ (bins[:, None] == numbers).to(bins.dtype)
    return gaps.abs().sum() / len(confidence)


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
