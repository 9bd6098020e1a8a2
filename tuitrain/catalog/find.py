"""Find entries by name or alias."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tuitrain.catalog.entry import Entry
from tuitrain.catalog.loss import Loss
from tuitrain.catalog.losses import LOSSES
from tuitrain.catalog.model_entry import ModelEntry
from tuitrain.catalog.models import MODELS
from tuitrain.catalog.optimizers import OPTIMIZERS, REFUSED, OptimizerEntry
from tuitrain.catalog.tasks import TASKS, Task
from tuitrain.catalog.torchvision_models import TORCHVISION
from tuitrain.core.errors import Refused, UnknownName, WrongUse
from tuitrain.core.files import missing
from tuitrain.core.own import TABLES
from tuitrain.core.safe import safe

CATALOG: Mapping[str, Mapping[str, Entry]] = {
    "task": TASKS,
    "loss": LOSSES,
    "model": {**MODELS, **TORCHVISION},
    "optimizer": OPTIMIZERS,
}


def find(what: str, name: str) -> Entry:
    """Return the `what` (task, loss, ...) with that name or alias; UnknownName if there is none.

    Refused for an optimizer of PyTorch that no run can use.
    """
    entries = CATALOG[what]
    for entry in entries.values():
        if name == entry.name or name in entry.aliases:
            return entry
    if what == "optimizer" and (reason := REFUSED.get(re.sub("[-_]", "", name.lower()))):
        raise Refused(f"{name} {reason}")
    raise UnknownName(what, name, entries)


def model_named(name: str) -> ModelEntry:
    """Return the model with that name; UnknownName if there is none."""
    entry = find("model", name)
    assert isinstance(entry, ModelEntry)
    return entry


def optimizer_named(name: str) -> OptimizerEntry:
    """Return the optimizer with that name or PyTorch class name; UnknownName if there is none."""
    entry = find("optimizer", name)
    assert isinstance(entry, OptimizerEntry)
    return entry


def loss_named(name: str) -> Loss:
    """Return the loss with that name or PyTorch class name; UnknownName if there is none."""
    entry = find("loss", name)
    assert isinstance(entry, Loss)
    return entry


def task_named(name: str) -> Task:
    """Return the task with that name; UnknownName if there is none, WrongUse for a path."""
    path = Path(name)
    if name not in TASKS and name and path.is_dir():
        raise WrongUse(f"no task {safe(name)!r}, but {safe(name)} is a folder: write {safe(name)}/")
    if name not in TASKS and path.is_file():
        raise unreadable_file(name)
    if "." in name:
        raise missing("file", name)
    entry = find("task", name)
    assert isinstance(entry, Task)
    return entry


def unreadable_file(file: str) -> WrongUse:
    """Return the error for a file that is given as a task and is none."""
    return WrongUse(
        f"{safe(file)} is no task: name a table ({', '.join(TABLES)}) or a Python file (.py)"
    )
