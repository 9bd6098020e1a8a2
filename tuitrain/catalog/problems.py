"""The metrics of each problem kind, and the `Problem` that a run records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tuitrain.catalog.entry_options import Between
from tuitrain.catalog.losses import LOSSES, fitting_losses, loss_aliases
from tuitrain.catalog.tasks import TASKS
from tuitrain.core.problem import Kind, LossOption, Metric, Problem
from tuitrain.core.values import Integer, ValueType

_FIVE = 5
_TOP = Metric("top5_accuracy", "max")
_MULTICLASS = (
    Metric("accuracy", "max"), Metric("f1_macro", "max"), Metric("auroc", "max"),
    Metric("balanced_accuracy", "max"), Metric("mcc", "max"), _TOP,
    Metric("calibration_error", "min"),
)  # fmt: skip
METRICS: Mapping[str, tuple[Metric, ...]] = {
    "multiclass": _MULTICLASS,
    "binary": tuple(metric for metric in _MULTICLASS if metric is not _TOP),
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

_OF_THE_TARGET = ("rmse", "mae", "median_error")
"""Those in the unit of the target."""

FIRST_METRICS: Mapping[str, str] = {
    "multiclass": "tuitrain.engine.metrics:class_accuracy",
    "binary": "tuitrain.engine.metrics:binary_accuracy",
    "regression": "tuitrain.engine.metrics:root_mean_square",
}
"""The function of the first metric of a kind, which an exported program prints."""

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


def metrics_for(kind: str | None, classes: int, unit: str = "") -> tuple[Metric, ...]:
    """Return the metrics of a validation of a problem with so many classes; () without a kind.

    `unit` is that of the target.
    """
    return tuple(
        replace(metric, unit=unit) if metric.name in _OF_THE_TARGET else metric
        for metric in METRICS.get(kind or "", ())
        if metric is not _TOP or classes > _FIVE
    )


def problem(
    kind: Kind, *, classes: tuple[str, ...] = (), input_shape: tuple[int, ...] = ()
) -> Problem:
    """Return the problem that a run of that kind records; its first metric is monitored."""
    metrics = metrics_for(kind, len(classes))
    losses = tuple(loss.name for loss in fitting_losses(kind))
    return Problem(
        kind, metrics, metrics[0].name, losses, classes, input_shape,
        aliases=loss_aliases(losses), options=loss_options(losses, kind),
        misfits=misfits(losses, kind),
    )  # fmt: skip


def loss_options(names: Iterable[str], kind: str | None) -> dict[str, tuple[LossOption, ...]]:
    """Return the options, as a problem states them, of those losses of the catalogue that have any.

    `kind` is that of the problem: an option may be for some kinds only.
    """
    stated = {}
    for loss in (LOSSES[name] for name in names if name in LOSSES):
        options = {key: option for key, option in loss.options.items() if option.is_for(kind)}
        if options:
            stated[loss.name] = tuple(
                LossOption(key, option.write(option.default), option.type.description,
                           option.description, _within(option.type))
                for key, option in options.items()
            )  # fmt: skip
    return stated


def _within(type_: ValueType) -> tuple[float, ...]:
    match type_:
        case Between(low=low, high=high):
            return low, high
        case Integer(least=least, most=most):
            return least, most
        case _:
            return ()


def misfits(fitting: Iterable[str], kind: str | None) -> dict[str, str]:
    """Return the losses of the catalogue besides the fitting ones, with why they do not fit."""
    others = (loss for name, loss in LOSSES.items() if name not in set(fitting))
    return {loss.name: reason for loss in others if (reason := loss.misfit(kind))}


def problem_of_task(name: str) -> Problem:
    """Return the problem of a built-in task; an empty one for any other."""
    task = TASKS.get(name)
    return problem(task.kind, classes=task.classes) if task else Problem()
