"""The metrics of each problem kind, and the `Problem` that a run records."""

from __future__ import annotations

from collections.abc import Mapping

from tuitrain.catalog.entry import Kind
from tuitrain.catalog.losses import fitting_losses, loss_aliases
from tuitrain.catalog.tasks import TASKS
from tuitrain.core.problem import Metric, Problem

_OF_CLASSES = (Metric("accuracy", "max"), Metric("f1_macro", "max"), Metric("auroc", "max"))
METRICS: Mapping[str, tuple[Metric, ...]] = {
    "multiclass": _OF_CLASSES,
    "binary": _OF_CLASSES,
    "regression": (Metric("rmse", "min"), Metric("mae", "min"), Metric("r2", "max")),
}
"""The validation metrics by problem kind."""

EXPLAINED: Mapping[str, str] = {
    "accuracy": "share of the samples whose likeliest class is the right one",
    "f1_macro": "mean over the classes of F1, the harmonic mean of precision and recall",
    "auroc": "area under the ROC curve: how often a positive ranks above a negative; "
    "of several classes the mean of each against the rest",
    "rmse": "root of the mean squared error, in the unit of the target",
    "mae": "mean absolute error, in the unit of the target",
    "r2": "share of the target's variance that is explained; 0 is the mean as a guess",
}
"""Each metric in words, for a learner."""


def problem(
    kind: Kind, *, classes: tuple[str, ...] = (), input_shape: tuple[int, ...] = ()
) -> Problem:
    """Return the problem that a run of that kind records; its first metric is monitored."""
    metrics = METRICS[kind]
    losses = tuple(loss.name for loss in fitting_losses(kind))
    return Problem(
        kind, metrics, metrics[0].name, losses, classes, input_shape,
        aliases=loss_aliases(losses),
    )  # fmt: skip


def problem_of_task(name: str) -> Problem:
    """Return the problem of a built-in task; an empty one for any other."""
    task = TASKS.get(name)
    return problem(task.kind, classes=task.classes) if task else Problem()
