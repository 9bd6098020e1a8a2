"""A task as a run trains it, wherever it came from: the catalogue, a table, images, or a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn
from torch.optim import Optimizer

from tuitrain import catalog
from tuitrain.core.options import OPTIONS
from tuitrain.core.own import own_python, source_of
from tuitrain.core.problem import Card
from tuitrain.core.spec import RunSpec
from tuitrain.engine.data import Dataset, Source
from tuitrain.engine.tasks import dataset
from tuitrain.engine.tasks.download import Report, ignore_progress
from tuitrain.engine.tasks.interruptible import interruptible
from tuitrain.engine.user_code import UserCode


class Names(NamedTuple):
    """What tells samples from one another: cells of these columns, a row for each sample."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


class NewData(NamedTuple):
    """Samples that a run has not seen, to be predicted."""

    names: Names
    source: Source
    has_targets: bool
    """Whether the targets of `source` are known; else they are anything."""
    notes: Sequence[str] = ()
    """What the model cannot use as it is, a line each."""


@dataclass(frozen=True, slots=True)
class OpenedTask:
    """Data, and what the task has of its own."""

    data: Dataset
    card: Card = field(default_factory=Card)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Settings of a run by name: the model of the catalogue, loss, lr, batch_size, epochs."""
    model: Callable[[], nn.Module] | None = None
    optimizer: Callable[[Any], Optimizer] | None = None
    schedule: Callable[[float], float] | None = None
    losses: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    read_new: Callable[[Sequence[Path]], NewData] | None = None
    """Reads files or folders as the task reads its own, for `tuitrain predict`; raises WrongUse."""
    val_names: Callable[[], Names] | None = None
    """Names the samples for validation; None: they are numbered."""
    libraries: tuple[str, ...] = ()
    """The distributions that read and prepared the data, beside PyTorch."""
    is_own: bool = False
    """The user wrote it, so that it is checked on one batch first."""
    warnings: tuple[str, ...] = ()
    """What is doubtful about the data."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Where the user's file has each field of the task, `task.py, line 7: `; "": the task."""

    def place(self, name: str, setting: str | None = None) -> str:
        """Return where a field of the user's task is, or else the task; empty for another task.

        It is empty, too, where the `setting` of the run for that field is not that of the task.
        """
        if setting is not None and setting != (self.defaults.get(name) or ""):
            return ""
        return self.places.get(name) or self.places.get("", "")


def open_task(spec: RunSpec, code: UserCode, report: Report = ignore_progress) -> OpenedTask:
    """Return the task of a spec with its data loaded; `report` receives the progress of a download.

    Raises what `dataset.load` and the user's files raise.
    """
    match source_of(spec.task):
        case "catalog":
            entry = catalog.task_named(spec.task)
            defaults = {"model": entry.model, "epochs": entry.epochs}
            data = dataset.load(spec.task, spec.data, report)
            used = "torchvision" if entry.is_downloaded else "scikit-learn"
            return OpenedTask(data, Card(entry.summary), defaults, libraries=(used,))
        case "python":
            from tuitrain.engine.tasks.python import open_python

            own = own_python(spec.task)
            assert own is not None
            return open_python(own, spec, code)
        case "table":
            from tuitrain.engine.tasks.table import open_table

            return interruptible(lambda: open_table(spec))
        case "images":
            from tuitrain.engine.tasks.folder import open_folder

            return open_folder(spec, report)


def resolved(spec: RunSpec, task: OpenedTask, usual_loss: str) -> RunSpec:
    """Return the spec with the settings that it left to the task."""
    settings = {
        "optimizer": "" if task.optimizer else OPTIONS["optimizer"].default,
        "batch_size": OPTIONS["batch_size"].default,
        **task.defaults,
        "loss": usual_loss,
    }
    missing = {name: value for name, value in settings.items() if not getattr(spec, name) and value}
    return replace(spec, **missing)
