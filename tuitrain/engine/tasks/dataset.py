"""Load the data of a built-in task by its name."""

from __future__ import annotations

from pathlib import Path

from tuitrain import catalog
from tuitrain.engine.data import Dataset
from tuitrain.engine.tasks.download import CannotDownload, Report, ignore_progress
from tuitrain.engine.tasks.prepared import prepared


def load(name: str, folder: str | None = None, report: Report = ignore_progress) -> Dataset:
    """Return the data of a task: from scikit-learn, from `folder`, or downloaded.

    `report` is called with the progress of a download. Raises the errors of `images.load`, and
    CannotDownload.
    """
    task = catalog.task_named(name)
    if not task.is_downloaded:
        return Dataset.of(task, prepared(task.place, lambda: task.load()()))
    from tuitrain.engine.tasks import images  # torchvision takes a second to import

    try:
        return Dataset.of(task, images.load(task, Path(folder) if folder else None, report))
    except CannotDownload as error:
        raise CannotDownload(f"{error}; --data DIR reads {name} from a folder") from None
