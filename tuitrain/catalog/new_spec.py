"""Make the spec of a new run from a user's settings and the defaults, and check it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from tuitrain.catalog.choice import Choice, loss_text
from tuitrain.catalog.find import find, loss_named, optimizer_named, task_named, unreadable_file
from tuitrain.catalog.losses import fitting_losses
from tuitrain.catalog.tasks import Task
from tuitrain.core.commands import SwapLoss
from tuitrain.core.errors import Refused, UnknownName, WrongUse
from tuitrain.core.files import expanded, missing
from tuitrain.core.options import ALL, OPTIONS
from tuitrain.core.own import Source, named_in_full, own_python, source_of, title_of
from tuitrain.core.plan import Planned
from tuitrain.core.safe import safe
from tuitrain.core.spec import FILLED_IN_NUMBERS, FILLED_IN_STRINGS, RunSpec, checked

_SOURCES: Mapping[Source, str] = {
    "catalog": "a built-in task", "python": "a Python file", "table": "a table",
    "images": "a folder of images",
}  # fmt: skip


def new_spec(task: str = "digits", **settings: Any) -> RunSpec:
    """Return the checked spec of `settings`; a missing or None setting has its default.

    Aliases become catalogue names. Of a task of the user's own, the trainer fills in what is not
    given, since only it reads the data and runs the user's code. Raises WrongUse for an invalid
    value and for a file that is not there, Refused for a loss that does not fit the task.
    """
    task = OPTIONS["task"].take(task)
    names = [field.name for field in fields(RunSpec)]
    if unknown := set(settings) - set(names):
        raise UnknownName("setting", min(unknown), names)
    given = {
        name: value for name, value in settings.items() if value is not None or _is_value(name)
    }
    is_own = source_of(task) != "catalog"
    defaults = {name: OPTIONS[name].default for name in names if name in OPTIONS}
    is_kept = given.get("parent") is not None  # then the run has copies of the user's files
    defaults |= _open_to_task(task, is_kept=is_kept) if is_own else _defaults(task)
    if own_python(given.get("optimizer") or "") is not None:
        defaults["lr"] = 0.0  # it may bring its own
    _check_sources(task, given)
    spec = RunSpec(**defaults | checked(given))
    if not is_own:
        _check_that_it_fits(spec)
    check_devices(spec.device, spec.nproc)
    if spec.strategy == "fsdp":
        check_sharded(spec)
    return _canonical(spec)


def _is_value(name: str) -> bool:
    """Return whether None is a value of the setting, as auto is."""
    return name in OPTIONS and bool(OPTIONS[name].none_word)


def _open_to_task(task: str, *, is_kept: bool) -> dict[str, Any]:
    left = {**dict.fromkeys(FILLED_IN_STRINGS, ""), **dict.fromkeys(FILLED_IN_NUMBERS, 0)}
    return {"task": task if is_kept else own_task(task), **left}


def _defaults(task: str) -> dict[str, Any]:
    entry = task_named(task)
    return {
        "task": entry.name, "model": entry.model, "epochs": entry.epochs,
        "loss": fitting_losses(entry.kind)[0].name,
    }  # fmt: skip


def _check_sources(task: str, given: Mapping[str, Any]) -> None:
    """Raise WrongUse for an option of another kind of task."""
    source = source_of(task)
    for name, value in given.items():
        option = OPTIONS.get(name)
        if value and option and option.sources and source not in option.sources:
            raise WrongUse(
                f"--{option.key} is for {_SOURCES[option.sources[0]]}, "
                f"and {safe(title_of(task))} is {_SOURCES[source]}; leave it out"
            )


def _check_that_it_fits(spec: RunSpec) -> None:
    task = task_named(spec.task)
    if own_python(spec.model) is None:
        model = find("model", Choice.read("model", spec.model).name)
        if model.needs_images and not task.has_images:
            raise Refused(f"{model.name} needs images, and {task.name} is a table; try mlp")
    if spec.data is not None and not task.is_downloaded:
        raise WrongUse(f"{task.name} is read from no folder; leave out --data")
    commands = [change.command for change in spec.schedule]
    swapped = [command.loss for command in commands if isinstance(command, SwapLoss)]
    recorded = [loss for loss in spec.val_losses if loss != ALL]
    for loss in (spec.loss, *swapped, *recorded):
        if own_python(loss) is not None:
            continue
        _check_name(loss.partition(":")[0], task)
        choice = Choice.read("loss", loss)
        entry = loss_named(choice.name)
        if entry not in fitting_losses(task.kind):
            raise Refused(f"{entry.why_not(task.kind)} (tuitrain losses --task {task.name})")
        entry.arguments(choice.options, task.kind)


def _check_name(loss: str, task: Task) -> None:
    """Raise UnknownName, with the losses that fit the task, for one that the catalogue lacks."""
    try:
        loss_named(loss)
    except UnknownName:
        fitting = [entry.name for entry in fitting_losses(task.kind)]
        raise UnknownName("loss", loss, fitting, whose=f"for {task.name}") from None


def check_devices(device: str, nproc: int | None) -> None:
    """Raise WrongUse where all ranks of a host would train on one GPU."""
    if nproc != 1 and device not in ("auto", "cpu", "cuda"):
        raise WrongUse(
            f"--device {device} is one device, and each of several processes needs its own: "
            "--device cuda gives each a GPU, and cpu is for all of them"
        )


def check_sharded(spec: RunSpec, own_optimizer: str = "") -> None:
    """Raise WrongUse or Refused for what has no shards; the trainer checks the user's own code.

    `own_optimizer` is the class of an optimizer that such code made before, where that is known.
    """
    if not spec.is_distributed:
        raise WrongUse(
            "--strategy fsdp shares a model among several processes, which --nproc N starts; "
            "--strategy ddp is for one, too"
        )
    if spec.compile:
        raise WrongUse("--strategy fsdp shards no compiled model; leave out --compile")
    is_own = not spec.optimizer or own_python(spec.optimizer) is not None
    name = own_optimizer if is_own else Choice.read("optimizer", spec.optimizer).name
    if not name:
        return
    try:
        optimizer = optimizer_named(name)
    except UnknownName:
        raise Refused(not_by_itself(name)) from None
    if optimizer.needs_whole:
        raise Refused(
            f"{optimizer.name} computes with whole weights, which no process has with "
            "--strategy fsdp; adamw does not"
        )


def not_by_itself(optimizer: str) -> str:
    """Return why an optimizer of that class, which is not the catalogue's, has no shards."""
    return (
        f"--strategy fsdp: {optimizer} is not known to compute with each number by itself, and no "
        "process has whole weights: adamw and most others of tuitrain optimizers do"
    )


def _canonical(spec: RunSpec) -> RunSpec:
    """Return the spec with catalogue names for aliases, and files named in full."""
    is_own = source_of(spec.task) != "catalog"
    return replace(
        spec,
        model=_text("model", spec.model),
        loss=named_in_full(spec.loss) if is_own else _loss(spec.loss),
        val_losses=spec.val_losses if is_own else tuple(map(_recorded, spec.val_losses)),
        optimizer=_text("optimizer", spec.optimizer),
        schedule=spec.schedule if is_own else tuple(map(_canonical_change, spec.schedule)),
    )


def _text(what: str, text: str) -> str:
    if own_python(text) is not None:
        return named_in_full(text)
    return str(Choice.read(what, text)) if text else ""


def _loss(text: str) -> str:
    return loss_text(text) if own_python(text) is None else named_in_full(text)


def _recorded(text: str) -> str:
    return text if text == ALL else _loss(text)


def own_task(task: str) -> str:
    """Return the text of a task of the user's own with the full path; WrongUse if it is missing."""
    own = own_python(task)
    file = own.file if own is not None else task
    path = expanded(file)
    if source_of(task) == "images":
        if path.is_file():
            raise unreadable_file(task)
        if not path.is_dir():
            raise missing("folder", task)
        return f"{path.absolute()}/"
    if not path.is_file():
        raise missing("file", file)
    return str(path.absolute() if own is None else replace(own, file=str(path.absolute())))


def _canonical_change(change: Planned) -> Planned:
    command = change.command
    if not isinstance(command, SwapLoss):
        return change
    return change._replace(command=SwapLoss(_loss(command.loss)))
