"""Image data sets in folders: MNIST's family and CIFAR-10, downloaded once or given by the user.

torchvision falls back from https to http, has no time-out, and does not check an extracted file.
So files are downloaded and checked here, by torchvision's names and digests.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch
from torchvision import datasets

from tuitrain.catalog import Task
from tuitrain.core.cache import downloads
from tuitrain.core.errors import TuitrainError, WrongUse
from tuitrain.core.safe import safe
from tuitrain.engine.data import Parts
from tuitrain.engine.tasks import download
from tuitrain.engine.tasks.download import Report

_CIFAR_FOLDER = "cifar-10-batches-py"


class DamagedData(TuitrainError):
    """The files of a data set are damaged."""


class Origin(NamedTuple):
    """The download of a data set in MNIST's format."""

    url: str
    resources: Sequence[tuple[str, str]]
    """File names and their md5 digests."""
    counts: tuple[Sequence[int], Sequence[int]]
    """Number of samples of each class, for training and for validation."""


_BALANCED = ([6000] * 10, [1000] * 10)
ORIGINS: Mapping[str, Origin] = {
    "mnist": Origin(
        "https://ossci-datasets.s3.amazonaws.com/mnist/", datasets.MNIST.resources,
        (
            [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
        ),
    ),
    "fashion-mnist": Origin(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        datasets.FashionMNIST.resources, _BALANCED,
    ),
    "kmnist": Origin(
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist/", datasets.KMNIST.resources, _BALANCED
    ),
}  # fmt: skip


def load(task: Task, data: Path | None, report: Report, cache: Path | None = None) -> Parts:
    """Return a task's data from the folder `data`, or from the `cache`, downloaded if missing.

    Raises WrongUse for a folder without the files of the data set, and DamagedData.
    """
    folder = data or _downloaded(task.name, (cache or downloads()) / task.name, report)
    try:
        parts: Parts = task.load()(folder)
    except FileNotFoundError as error:
        raise WrongUse(f"{safe(error)}; without --data it is downloaded") from None
    except ValueError as error:
        raise DamagedData(safe(error)) from None
    except RuntimeError:  # torchvision's
        raise DamagedData(f"{safe(folder)} has no whole {_CIFAR_FOLDER}") from None
    _check(task, parts, folder)
    if data is None and task.name in ORIGINS:
        _check_counts(parts, ORIGINS[task.name], folder)
    return parts


def _check(task: Task, parts: Parts, folder: Path) -> None:
    for inputs, targets in (parts[:2], parts[2:]):
        if (inputs == inputs.reshape(-1)[0]).all():
            raise DamagedData(f"{safe(folder)} is damaged: all its pixels are the same")
        if (highest := int(targets.max())) >= task.outputs:
            raise DamagedData(
                f"{safe(folder)} is damaged: it has the class {highest}, and there are "
                f"{task.outputs}, from 0"
            )


def _check_counts(parts: Parts, origin: Origin, folder: Path) -> None:
    for targets, counts in zip((parts[1], parts[3]), origin.counts, strict=True):
        if torch.bincount(targets, minlength=len(counts)).tolist() != list(counts):
            raise DamagedData(f"{safe(folder)} has other numbers of samples than it should")


def _downloaded(name: str, folder: Path, report: Report) -> Path:
    """Return the folder with the files of the data set; download those that are missing."""
    if name == "cifar10":
        kind = datasets.CIFAR10
        if not _is_cifar(folder):
            archive = folder / kind.filename
            download.fetch(kind.url, archive, md5=kind.tgz_md5, report=report)
            _extract(archive, folder)
        return folder
    origin = ORIGINS[name]
    for file, md5 in origin.resources:
        download.fetch(origin.url + file, folder / file, md5=md5, report=report)
    return folder


def _is_cifar(root: Path) -> bool:
    try:
        for is_train in (True, False):
            datasets.CIFAR10(str(root), train=is_train, download=False)
    except (RuntimeError, OSError):
        return False
    return True


def _extract(archive: Path, root: Path) -> None:
    with tempfile.TemporaryDirectory(dir=root) as atomic_path:
        with tarfile.open(archive) as files:
            files.extractall(atomic_path, filter="data")
        shutil.rmtree(root / _CIFAR_FOLDER, ignore_errors=True)
        with suppress(OSError):  # another trainer was faster; loading checks its files
            (Path(atomic_path) / _CIFAR_FOLDER).rename(root / _CIFAR_FOLDER)
    archive.unlink(missing_ok=True)
