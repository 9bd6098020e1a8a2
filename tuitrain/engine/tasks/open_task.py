"""Open the task of a run, wherever it comes from: the catalogue, a table, images, or a file."""

from __future__ import annotations

from dataclasses import replace

from tuitrain import catalog
from tuitrain.core.cache import downloads
from tuitrain.core.options import OPTIONS
from tuitrain.core.own import own_python, source_of
from tuitrain.core.problem import Card
from tuitrain.core.spec import RunSpec
from tuitrain.engine.tasks import dataset
from tuitrain.engine.tasks.download import Report, ignore_progress
from tuitrain.engine.tasks.interruptible import interruptible
from tuitrain.engine.tasks.opened import OpenedTask
from tuitrain.engine.user_code import UserCode


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
            folder = spec.data or str(downloads() / entry.name)
            card = Card(entry.summary, origin=folder if entry.is_downloaded else entry.origin)
            return OpenedTask(data, card, defaults, libraries=(used,))
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
