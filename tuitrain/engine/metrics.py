"""Numbers about an epoch, gathered on the device and read once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from tuitrain.engine.device import read

_PENDING = 256


class RunningMean:
    """Mean of batch losses, weighted by their samples, without waiting for the device.

    Bad batches, which left the weights as they were, are left out of it and counted.
    """

    def __init__(self) -> None:
        self._pending: list[tuple[Tensor, int, Tensor | None]] = []
        self._sums: Tensor | None = None
        """(3,): the weighted sum of losses, the samples that it is over, the bad batches."""

    def add(self, loss: Tensor, samples: int, bad: Tensor | None = None) -> None:
        """Take one batch's mean loss, a detached scalar, and how many samples it is over.

        `bad` is a scalar on the same device, 1 for a bad batch and else 0.
        """
        self._pending.append((loss, samples, bad))
        if len(self._pending) == _PENDING:
            self._sums, self._pending = self._summed(), []

    @classmethod
    def of(cls, state: Mapping[str, Any], device: torch.device) -> RunningMean:
        """Return the mean that `state` was taken from; states without bad batches are older."""
        mean = cls()
        if "sums" in state:
            sums, bad = state["sums"], state["bad"]
        else:
            total, samples = float(state["total"]), state["samples"]
            sums = torch.tensor([total, samples, 0.0], dtype=torch.float64)
            bad = torch.zeros(len(state["counts"]))
        mean._sums = sums.to(device, _precision(device))
        losses = state["losses"].to(device).unbind()
        mean._pending = list(zip(losses, state["counts"], bad.to(device).unbind(), strict=True))
        return mean

    def state(self) -> dict[str, Any]:
        """Return what has been added, to the bit, without waiting for the device."""
        losses = [loss for loss, _, _ in self._pending]
        return {
            "sums": torch.zeros(3, dtype=torch.float64) if self._sums is None else self._sums,
            "losses": torch.stack(losses) if losses else torch.empty(0),
            "counts": [samples for _, samples, _ in self._pending],
            "bad": self._bad() if losses else torch.empty(0),
        }

    def value(self) -> float:
        """Return the mean so far; NaN before the first good batch. Waits for the device."""
        return self.result()[0]

    def result(self) -> tuple[float, int]:
        """Return the mean so far and how many bad batches it leaves out. Waits for the device."""
        if not self._pending and self._sums is None:
            return math.nan, 0
        total, samples, bad = self._summed().tolist()
        return total / samples if samples else math.nan, int(bad)

    def _summed(self) -> Tensor:
        if not self._pending:
            assert self._sums is not None
            return self._sums
        losses = torch.stack([loss for loss, _, _ in self._pending])
        losses = losses.to(_precision(losses.device))
        counts = torch.tensor([samples for _, samples, _ in self._pending], dtype=losses.dtype)
        bad = self._bad() != 0
        weights = counts.to(losses.device, non_blocking=True).masked_fill(bad, 0)
        sums = torch.stack((losses.masked_fill(bad, 0) @ weights, weights.sum(), bad.sum()))
        return sums if self._sums is None else self._sums + sums

    def _bad(self) -> Tensor:
        good = torch.zeros((), device=self._pending[0][0].device)
        return torch.stack([good if bad is None else bad for _, _, bad in self._pending])


def _precision(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64


Confusion = list[list[int]]
"""How many samples of each class (row) were taken for which (column)."""


class Evaluation(NamedTuple):
    """What the outputs of a validation are worth."""

    metrics: dict[str, float]
    """The leading one first."""
    confusion: Confusion | None = None
    """None where nothing is classified."""


def metrics_of(
    kind: str | None, outputs: Tensor, targets: Tensor, *, unit: float = 1.0
) -> dict[str, float]:
    """Return the metrics of a validation, as `evaluate` does."""
    return evaluate(kind, outputs, targets, unit=unit).metrics


def evaluate(
    kind: str | None, outputs: Tensor, targets: Tensor, *, unit: float = 1.0
) -> Evaluation:
    """Return the metrics of a validation and its confusion matrix; waits for the device once.

    `outputs` (N, C) or (N, 1) and `targets` (N,) are as `tuitrain.engine.losses` has them; errors
    are given in the targets' own unit, of which one of ours is `unit`.
    """
    match kind:
        case "multiclass":
            chosen, classes = outputs.argmax(dim=1), outputs.shape[1]
            each = functional.one_hot(targets, classes).T
            areas = auroc(log_odds(outputs).T.contiguous(), each)
            return _of_classes(chosen, targets, classes, areas)
        case "binary":
            logits, labels = outputs.flatten(), targets.long()
            areas = auroc(logits[None, :], labels[None, :])
            return _of_classes((logits > 0).long(), labels, 2, areas)
        case "regression":
            return Evaluation(_of_numbers(outputs.flatten(), targets, unit))
        case _:
            return Evaluation({})


def _of_classes(chosen: Tensor, targets: Tensor, classes: int, areas: Tensor) -> Evaluation:
    pairs = torch.bincount(targets * classes + chosen, minlength=classes * classes)
    confusion: Confusion = pairs.reshape(classes, classes).tolist()
    right = [confusion[each][each] for each in range(classes)]
    # true and predicted ones of each class: its F1 is twice the right ones over both
    both = [sum(confusion[each]) + sum(row[each] for row in confusion) for each in range(classes)]
    f1 = [2 * hit / total for hit, total in zip(right, both, strict=True) if total]
    known = [area for area in areas.tolist() if not math.isnan(area)]
    metrics = {
        "accuracy": sum(right) / len(targets),
        "f1_macro": sum(f1) / len(f1),
        "auroc": sum(known) / len(known) if known else math.nan,
    }
    return Evaluation(metrics, confusion)


def _of_numbers(predicted: Tensor, targets: Tensor, unit: float) -> dict[str, float]:
    precise = targets.to(_precision(targets.device))
    errors = predicted - precise
    squared, spread = errors.square().sum(), (precise - precise.mean()).square().sum()
    share = (1 - squared / spread).masked_fill((targets == targets[0]).all(), math.nan)
    mse, mae, r2 = read([squared / len(errors), errors.abs().mean(), share])
    return {"rmse": unit * math.sqrt(mse), "mae": unit * mae, "r2": r2}


def log_odds(logits: Tensor) -> Tensor:
    """Return log(p / (1 - p)) of the softmax p of `logits` (N, C): z minus the others' logsumexp.

    It orders samples as p does, and still does so where p rounds to 0 or 1.
    """
    top = logits.argmax(dim=1, keepdim=True)
    shifted = logits - logits.gather(1, top)
    powers = shifted.exp()
    others = (powers.sum(dim=1, keepdim=True) - powers).log()  # 0 at least, but for the top
    rest = shifted.scatter(1, top, -math.inf).logsumexp(dim=1, keepdim=True)
    return shifted - others.scatter(1, top, rest)


def auroc(scores: Tensor, positive: Tensor) -> Tensor:
    """Return the area under the ROC curve of each row of `scores` (R, N), `positive` 0 or 1 (R, N).

    It is the share of pairs of a positive and a negative that are in order; a tie is half of one
    (H. Mann, D. Whitney, 1947). NaN for a row of one kind only, and for one with a NaN in it.
    """
    ordered, order = scores.sort(dim=1)
    is_new = ordered[:, 1:] != ordered[:, :-1]
    tie = functional.pad(is_new, (1, 0)).cumsum(dim=1)  # which of the different scores it is
    won = positive.gather(1, order)
    positives, negatives = (
        torch.zeros_like(won).scatter_add(1, tie, each) for each in (won, 1 - won)
    )
    in_order = (positives * (2 * negatives.cumsum(dim=1) - negatives)).sum(dim=1)  # in halves
    pairs = 2 * positives.sum(dim=1) * negatives.sum(dim=1)
    areas = in_order.to(_precision(scores.device)) / pairs
    return areas.masked_fill(scores.isnan().any(dim=1), math.nan)
