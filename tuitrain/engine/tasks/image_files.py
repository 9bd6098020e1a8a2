"""The image files of a folder and what they show: its part and its class are names of folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tuitrain.core.errors import Refused, WrongUse
from tuitrain.core.safe import safe

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_TRAIN = ("train", "training")
_VAL = ("val", "valid", "validation")
_TEST = ("test", "testing")


class ImageFile(NamedTuple):
    """An image file."""

    part: str
    """train or val; empty where the folder has no such parts."""
    label: str
    """The name of its class, as the file system has it."""
    path: Path


class ImageFiles(NamedTuple):
    """The image files of a folder, by part, class and path, and what is not used of it."""

    files: list[ImageFile]
    notes: list[str]


def find_images(root: Path) -> ImageFiles:
    """Return the image files of a folder; WrongUse if they are not in folders of classes.

    As torchvision's DatasetFolder, it follows links and looks into folders of any depth; it passes
    over hidden files and folders.
    """
    if not root.is_dir():
        raise WrongUse(f"there is no folder {safe(root)}")
    parts, notes = _parts(root)
    files: list[ImageFile] = []
    for part, folder in parts.items():
        for name in _folders(folder):
            images = [ImageFile(part, name, path) for path in _images(folder / name)]
            files += images
            notes += [] if images else [f"no image in {safe((folder / name).relative_to(root))}"]
    if not any(file.part != "val" for file in files):
        raise WrongUse(_what_is_missing(root, parts))
    return ImageFiles(files, notes)


def images_at(path: Path) -> list[Path]:
    """Return an image file, or those below a folder; WrongUse if there are none."""
    files = list(_images(path)) if path.is_dir() else [path]
    if not files:
        raise WrongUse(f"{safe(path)} has no images: it takes {', '.join(ENDINGS)}")
    return files


def _parts(root: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the folders with classes: one, or those for training and for validation.

    A folder `train`, in capitals too, is a part if nothing but other parts, or one for validation,
    lies beside it; otherwise it may be a class of trains.
    """
    names = _folders(root)
    train = [name for name in names if name.casefold() in _TRAIN]
    val = [name for name in names if name.casefold() in _VAL]
    is_split = bool(val) or {name.casefold() for name in names} <= {*_TRAIN, *_VAL, *_TEST}
    if len(train) != 1 or not is_split:
        return {"": root}, []
    if len(val) > 1:
        raise WrongUse(f"{safe(root)} has both {val[0]} and {val[1]}; which is for validation?")
    parts = {"train": root / train[0], **({"val": root / val[0]} if val else {})}
    notes = [f"{safe(name)} is not used" for name in names if name not in (*train, *val)]
    return parts, notes


def _what_is_missing(root: Path, parts: dict[str, Path]) -> str:
    layout = "train/CLASS/IMAGE.png" if "train" in parts else "CLASS/IMAGE.png"
    if any(is_image(name) for name in _entries(parts.get("train") or parts[""])):
        return f"{safe(root)} has images, but no folders of classes: it takes {layout}"
    return f"{safe(root)} has no images: it takes {layout}, or {', '.join(ENDINGS)}"


def _images(folder: Path) -> Iterator[Path]:
    """Yield the image files below a folder, in order; a folder that links lead to twice, once."""
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=_refuse):
        real = os.path.realpath(place)
        folders[:] = sorted(name for name in folders if name[0] != "." and real not in seen)
        if real not in seen:
            yield from (Path(place, name) for name in sorted(names) if is_image(name))
        seen.add(real)


def is_image(name: str) -> bool:
    """Return whether a file is an image by its name."""
    return name[0] != "." and name.lower().endswith(ENDINGS)


def _folders(folder: Path) -> list[str]:
    return [name for name in _entries(folder) if name[0] != "." and (folder / name).is_dir()]


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names alone
    except OSError as error:
        _refuse(error)
        raise


def _refuse(error: OSError) -> None:
    raise Refused(f"cannot read {safe(error.filename)}: {error.strerror}") from None
