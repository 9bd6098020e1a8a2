"""The data of a built-in task, from its name."""

from __future__ import annotations

from pathlib import Path

from tuitrain import catalog
from tuitrain.engine.data import Dataset
from tuitrain.engine.tasks.download import CannotDownload, Tell, ignore_progress
from tuitrain.engine.tasks.prepared import prepared


def load(name: str, folder: str | None = None, tell: Tell = ignore_progress) -> Dataset:
    """Return the data of a task; of one that is downloaded, from `folder` if there is one.

    `tell` hears of a download. Raises what `images.load` does, and CannotDownload.
    """
    task = catalog.task_named(name)
    if not task.is_downloaded:
        return Dataset.of(task, prepared(task.place, lambda: task.load()()))
    from tuitrain.engine.tasks import images  # torchvision takes a second to import

    try:
        return Dataset.of(task, images.load(task, Path(folder) if folder else None, tell))
    except CannotDownload as error:
        raise CannotDownload(f"{error}; --data DIR reads {name} from a folder") from None
