"""Find entries by name or alias."""

from __future__ import annotations

import os
from collections.abc import Mapping

from tuitrain.catalog.entry import Entry
from tuitrain.catalog.losses import LOSSES, Loss
from tuitrain.catalog.models import MODELS
from tuitrain.catalog.optimizers import OPTIMIZERS
from tuitrain.catalog.tasks import TASKS, Task
from tuitrain.core.errors import UnknownName, WrongUse
from tuitrain.core.safe import safe

CATALOG: Mapping[str, Mapping[str, Entry]] = {
    "task": TASKS,
    "loss": LOSSES,
    "model": MODELS,
    "optimizer": OPTIMIZERS,
}


def find(what: str, name: str) -> Entry:
    """Return the `what` (task, loss, ...) with that name or alias; UnknownName if there is none."""
    entries = CATALOG[what]
    for entry in entries.values():
        if name == entry.name or name in entry.aliases:
            return entry
    raise UnknownName(what, name, entries)


def loss_named(name: str) -> Loss:
    """Return the loss with that name or PyTorch class name; UnknownName if there is none."""
    entry = find("loss", name)
    assert isinstance(entry, Loss)
    return entry


def task_named(name: str) -> Task:
    """Return the task with that name; UnknownName if there is none, WrongUse for a folder."""
    if name not in TASKS and os.path.isdir(name):  # noqa: PTH112 - of any text, it raises nothing
        raise WrongUse(f"no task {safe(name)!r}, but {safe(name)} is a folder: write {safe(name)}/")
    entry = find("task", name)
    assert isinstance(entry, Task)
    return entry
