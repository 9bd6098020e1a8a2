"""Where the images of MNIST and its kin lie, in the folder that a run read them from."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from tuitrain.core.errors import Refused
from tuitrain.core.safe import safe

_FOLDERS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "kmnist": "KMNIST"}


class Idx(NamedTuple):
    """The files of a set, by their names in a folder."""

    folder: Path
    train: tuple[str, str]
    """Images and labels."""
    val: tuple[str, str] | None
    """None: a fifth of the training images is for validation."""
    shape: tuple[int, int, int]
    """Of one image: (1, height, width)."""

    @property
    def zipped(self) -> set[bool]:
        """Whether its files are: all of them, none of them, or both kinds."""
        return {name.endswith(".gz") for name in (*self.train, *(self.val or ()))}


def cache() -> Path:
    """Return the folder that downloads are kept in."""
    from platformdirs import user_cache_path

    return user_cache_path("tuitrain", appauthor=False) / "data"


def find(task: str, data: str | None) -> Idx:
    """Return the files that a run of the task reads, from the folder `data` or what it downloaded.

    Raises Refused if they are not there any more.
    """
    given = Path(data) if data else cache() / task
    for folder in (given / _FOLDERS[task] / "raw", given / "raw", given):
        if train := _part(folder, "train"):
            return Idx(folder, train, _part(folder, "t10k"), _shape(folder / train[0]))
    raise Refused(f"the data are not in {safe(given)} any more")


def _part(folder: Path, part: str) -> tuple[str, str] | None:
    images = _name(folder, f"{part}-images-idx3-ubyte")
    labels = _name(folder, f"{part}-labels-idx1-ubyte")
    return (images, labels) if images and labels else None


def _name(folder: Path, name: str) -> str | None:
    """Return the name of the file or its zipped form, as the trainer chooses between the two."""
    return next((each for each in (name, f"{name}.gz") if (folder / each).is_file()), None)


def _shape(images: Path) -> tuple[int, int, int]:
    try:
        with gzip.open(images) if images.suffix == ".gz" else images.open("rb") as file:
            height, width = struct.unpack(">2I", file.read(16)[8:])
    except (OSError, EOFError, zlib.error, struct.error):
        raise Refused(f"{safe(images)} is damaged") from None
    return 1, height, width
