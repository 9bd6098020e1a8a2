"""MNIST and its kin, and CIFAR-10: torchvision's sets, downloaded once or read from a folder.

torchvision tries http where https fails, waits for ever, and takes an extracted file for whole
without looking into it. So files are fetched and read here, by torchvision's names and digests.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from platformdirs import user_cache_path
from sklearn.model_selection import train_test_split
from torchvision import datasets

from tuitrain.core.errors import TuitrainError, WrongUse
from tuitrain.core.safe import safe
from tuitrain.engine.data import Dataset, Samples
from tuitrain.engine.tasks import download
from tuitrain.engine.tasks.download import Tell
from tuitrain.engine.tasks.idx import Bytes, DamagedData, read_images, read_labels

_CLASSES = 10
_PARTS = ("train", "t10k")
_VAL_SHARE = 0.2
_CIFAR_FOLDER = "cifar-10-batches-py"


class Kin(NamedTuple):
    """A set in MNIST's form."""

    name: str
    folder: str
    """What torchvision calls its folder."""
    url: str
    resources: Sequence[tuple[str, str]]
    """File names and their md5 digests."""
    counts: tuple[Sequence[int], Sequence[int]]
    """Samples of each class, for training and for validation."""
    classes: tuple[str, ...]


_EVEN = ([6000] * _CLASSES, [1000] * _CLASSES)
MNIST = Kin(
    "mnist", "MNIST", "https://ossci-datasets.s3.amazonaws.com/mnist/", datasets.MNIST.resources,
    (
        [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
        [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    ),
    tuple(map(str, range(_CLASSES))),
)  # fmt: skip
FASHION = Kin(
    "fashion-mnist", "FashionMNIST",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    datasets.FashionMNIST.resources, _EVEN, tuple(datasets.FashionMNIST.classes),
)  # fmt: skip
KUZUSHIJI = Kin(
    "kmnist", "KMNIST", "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    datasets.KMNIST.resources, _EVEN, tuple(datasets.KMNIST.classes),
)  # fmt: skip


def mnist(data: Path | None, tell: Tell) -> Dataset:
    """Return handwritten digits: 60,000 and 10,000 images (N, 1, 28, 28) of ten classes."""
    return load(MNIST, data, tell)


def fashion_mnist(data: Path | None, tell: Tell) -> Dataset:
    """Return pictures of clothes, in MNIST's form (H. Xiao, K. Rasul, R. Vollgraf, 2017)."""
    return load(FASHION, data, tell)


def kmnist(data: Path | None, tell: Tell) -> Dataset:
    """Return cursive Japanese characters, in MNIST's form (T. Clanuwat et al., 2018)."""
    return load(KUZUSHIJI, data, tell)


def load(kin: Kin, data: Path | None, tell: Tell, cache: Path | None = None) -> Dataset:
    """Return the set from the folder `data`, or from the `cache`, downloaded if it lacks it."""
    if data is not None:
        return _dataset(_given(kin, data), kin.classes)
    folder = (cache or _cache()) / kin.name
    for name, md5 in kin.resources:
        download.fetch(kin.url + name, folder / name, md5=md5, tell=tell)
    parts = [_part(folder, part) for part in _PARTS]
    for (_, labels), counts, part in zip(parts, kin.counts, _PARTS, strict=True):
        if np.bincount(labels, minlength=_CLASSES).tolist() != list(counts):
            raise DamagedData(folder / part, "it has other numbers of samples than it should")
    return _dataset(parts, kin.classes)


def cifar10(data: Path | None, tell: Tell) -> Dataset:
    """Return 50,000 and 10,000 colour images (N, 3, 32, 32) of ten classes (A. Krizhevsky, 2009).

    torchvision checks the digest of each extracted file.
    """
    kind = datasets.CIFAR10
    if data is not None:
        root = data.parent if data.name == _CIFAR_FOLDER else data
    else:
        root = _cache() / "cifar10"
        if not _is_cifar(root):
            archive = root / kind.filename
            download.fetch(kind.url, archive, md5=kind.tgz_md5, tell=tell)
            _extract(archive, root)
    if not _is_cifar(root):
        raise TuitrainError(f"{safe(root / _CIFAR_FOLDER)} is not there, or not whole")
    parts = []
    for is_train in (True, False):
        found = kind(str(root), train=is_train, download=False)
        parts.append((found.data.transpose(0, 3, 1, 2), np.asarray(found.targets, np.uint8)))
    return _dataset(parts, tuple(found.classes))


def _is_cifar(root: Path) -> bool:
    try:
        for is_train in (True, False):
            datasets.CIFAR10(str(root), train=is_train, download=False)
    except (RuntimeError, OSError):
        return False
    return True


def _extract(archive: Path, root: Path) -> None:
    with tempfile.TemporaryDirectory(dir=root) as beside:
        with tarfile.open(archive) as files:
            files.extractall(beside, filter="data")
        shutil.rmtree(root / _CIFAR_FOLDER, ignore_errors=True)
        with suppress(OSError):  # another trainer was faster: its files will do, or be found out
            (Path(beside) / _CIFAR_FOLDER).rename(root / _CIFAR_FOLDER)
    archive.unlink(missing_ok=True)


def _given(kin: Kin, data: Path) -> list[tuple[Bytes, Bytes]]:
    """Return training and validation part from a user's folder, of whatever size they are."""
    folders = [data / kin.folder / "raw", data / "raw", data]
    folder = next((each for each in folders if _file(each, "train-images-idx3-ubyte")), None)
    if folder is None:
        raise WrongUse(f"{safe(data)} has no train-images-idx3-ubyte, nor has {kin.folder}/raw")
    train = _part(folder, "train")
    if _file(folder, "t10k-images-idx3-ubyte"):
        return [train, _part(folder, "t10k")]
    images, labels = train
    parts = train_test_split(images, labels, test_size=_VAL_SHARE, random_state=0, stratify=labels)
    return [(parts[0], parts[2]), (parts[1], parts[3])]


def _part(folder: Path, part: str) -> tuple[Bytes, Bytes]:
    names = f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"
    paths = [_file(folder, name) for name in names]
    for name, path in zip(names, paths, strict=True):
        if path is None:
            raise WrongUse(f"{safe(folder)} has no {name}")
    assert paths[0] is not None
    assert paths[1] is not None
    images = read_images(paths[0])
    return images[:, None], read_labels(paths[1], images=images, classes=_CLASSES)


def _file(folder: Path, name: str) -> Path | None:
    found = (folder / name, folder / f"{name}.gz")
    return next((path for path in found if path.is_file()), None)


def _dataset(parts: Sequence[tuple[Bytes, Bytes]], classes: tuple[str, ...]) -> Dataset:
    """Return images (N, C, H, W) with mean 0 and deviation 1 in each channel of the first part."""
    pixels = torch.from_numpy(parts[0][0].copy()).float()
    mean, deviation = pixels.mean((0, 2, 3), keepdim=True), pixels.std((0, 2, 3), keepdim=True)
    train, val = (
        Samples(
            (torch.from_numpy(images.copy()).float() - mean) / deviation.clamp(min=1e-6),
            torch.from_numpy(labels.copy()).long(),
        )
        for images, labels in parts
    )
    return Dataset("multiclass", train, val, _CLASSES, classes=classes)


def _cache() -> Path:
    return user_cache_path("tuitrain", appauthor=False) / "data"
