"""The spec of a new run: the settings that a user gave over the defaults, checked once."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from tuitrain.catalog.choice import Choice, loss_text
from tuitrain.catalog.find import find, loss_named, task_named
from tuitrain.catalog.losses import Loss, fitting_losses
from tuitrain.core.commands import SwapLoss
from tuitrain.core.errors import Refused, UnknownName, WrongUse
from tuitrain.core.options import OPTIONS
from tuitrain.core.plan import Planned
from tuitrain.core.spec import RunSpec, taken


def new_spec(task: str = "digits", **settings: Any) -> RunSpec:
    """Return the checked spec: `settings` that are not None over the task's defaults.

    Aliases become catalogue names. Raises WrongUse for an invalid value, Refused for a loss that
    does not fit the task.
    """
    entry = task_named(OPTIONS["task"].take(task))
    names = [field.name for field in fields(RunSpec)]
    if unknown := set(settings) - set(names):
        raise UnknownName("setting", min(unknown), names)
    defaults = {name: OPTIONS[name].default for name in names if name in OPTIONS} | {
        "task": entry.name, "model": entry.model, "epochs": entry.epochs,
        "loss": fitting_losses(entry.kind)[0].name,
    }  # fmt: skip
    given = {name: value for name, value in settings.items() if value is not None}
    spec = RunSpec(**defaults | taken(given))
    _check_that_it_fits(spec)
    return _canonical(spec)


def _check_that_it_fits(spec: RunSpec) -> None:
    task = task_named(spec.task)
    model = find("model", Choice.read("model", spec.model).name)
    if model.needs_images and not task.has_images:
        raise Refused(f"{model.name} needs images, and {task.name} is a table; try mlp")
    if spec.data is not None and not task.is_downloaded:
        raise WrongUse(f"{task.name} comes with scikit-learn and takes no data folder")
    loss = loss_named(Choice.read("loss", spec.loss).name)
    for entry in (loss, *(_loss_of(change) for change in spec.schedule)):
        if entry is not None and task.kind not in entry.takes:
            raise Refused(f"{entry.why_not(task.kind)} (tuitrain losses --task {task.name})")


def _canonical(spec: RunSpec) -> RunSpec:
    return replace(
        spec,
        model=str(Choice.read("model", spec.model)),
        loss=loss_text(spec.loss),
        optimizer=str(Choice.read("optimizer", spec.optimizer)),
        schedule=tuple(map(_canonical_change, spec.schedule)),
    )


def _canonical_change(change: Planned) -> Planned:
    command = change.command
    if not isinstance(command, SwapLoss):
        return change
    return change._replace(command=SwapLoss(loss_text(command.loss)))


def _loss_of(change: Planned) -> Loss | None:
    command = change.command
    return loss_named(command.name) if isinstance(command, SwapLoss) else None
