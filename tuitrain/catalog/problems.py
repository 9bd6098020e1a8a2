"""The metrics of each problem kind, and the `Problem` that a run records."""

from __future__ import annotations

from collections.abc import Mapping

from tuitrain.catalog.entry import Kind
from tuitrain.catalog.losses import fitting_losses, loss_aliases
from tuitrain.catalog.tasks import TASKS
from tuitrain.core.problem import Metric, Problem

_FIVE = 5
_TOP = Metric("top5_accuracy", "max")
_OF_SEVERAL = (
    Metric("accuracy", "max"), Metric("f1_macro", "max"), Metric("auroc", "max"),
    Metric("balanced_accuracy", "max"), Metric("mcc", "max"), _TOP,
    Metric("calibration_error", "min"),
)  # fmt: skip
METRICS: Mapping[str, tuple[Metric, ...]] = {
    "multiclass": _OF_SEVERAL,
    "binary": tuple(metric for metric in _OF_SEVERAL if metric is not _TOP),
    "multilabel": (
        Metric("f1_macro", "max"), Metric("auroc", "max"), Metric("label_accuracy", "max"),
        Metric("subset_accuracy", "max"),
    ),
    "regression": (
        Metric("rmse", "min"), Metric("mae", "min"), Metric("r2", "max"),
        Metric("median_error", "min"),
    ),
}  # fmt: skip
"""The validation metrics by problem kind; `metrics_for` leaves out what few classes do not have."""

EXPLAINED: Mapping[str, str] = {
    "accuracy": "share of the samples whose likeliest class is the right one",
    "f1_macro": "mean over the classes of F1, the harmonic mean of precision and recall",
    "auroc": "area under the ROC curve: how often a positive ranks above a negative; "
    "of several classes the mean of each against the rest",
    "balanced_accuracy": "mean over the classes of recall: the share of its samples that is found",
    "mcc": "Matthews correlation of true and predicted classes; 0 is chance, 1 is perfect",
    "top5_accuracy": "share of the samples whose class is among the five likeliest; of more than "
    "five classes",
    "calibration_error": "mean distance of confidence and accuracy in 15 bins (ECE); 0 if of the "
    "samples that are 80 % sure 80 % are right",
    "label_accuracy": "share of all labels that are right",
    "subset_accuracy": "share of the samples whose labels are all right",
    "rmse": "root of the mean squared error, in the unit of the target",
    "mae": "mean absolute error, in the unit of the target",
    "r2": "share of the target's variance that is explained; 0 is the mean as a guess",
    "median_error": "median of the absolute errors, in the unit of the target",
}
"""Each metric in words, for a learner."""


def metrics_for(kind: str | None, classes: int) -> tuple[Metric, ...]:
    """Return the metrics of a validation of a problem with so many classes; () without a kind."""
    return tuple(
        metric for metric in METRICS.get(kind or "", ()) if metric is not _TOP or classes > _FIVE
    )


def problem(
    kind: Kind, *, classes: tuple[str, ...] = (), input_shape: tuple[int, ...] = ()
) -> Problem:
    """Return the problem that a run of that kind records; its first metric is monitored."""
    metrics = metrics_for(kind, len(classes))
    losses = tuple(loss.name for loss in fitting_losses(kind))
    return Problem(
        kind, metrics, metrics[0].name, losses, classes, input_shape,
        aliases=loss_aliases(losses),
    )  # fmt: skip


def problem_of_task(name: str) -> Problem:
    """Return the problem of a built-in task; an empty one for any other."""
    task = TASKS.get(name)
    return problem(task.kind, classes=task.classes) if task else Problem()
