"""IDX files, as MNIST and its kin have them (Y. LeCun et al., The MNIST database, 1998)."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tuitrain.core.errors import TuitrainError
from tuitrain.core.safe import safe

Bytes = NDArray[np.uint8]


class DamagedData(TuitrainError):
    """A file does not hold what it should."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{safe(path)} is damaged: {reason}")


def read_images(path: Path) -> Bytes:
    """Return images (N, H, W); DamagedData if the file is cut, or every image is one colour."""
    images = _read(path, axes=3)
    if not len(images):
        raise DamagedData(path, "it has no images")
    if (images == images.reshape(-1)[0]).all():
        raise DamagedData(path, "all its pixels are the same")
    return images


def read_labels(path: Path, *, images: Bytes, classes: int) -> Bytes:
    """Return the labels (N,) of those images, each below `classes`."""
    labels = _read(path, axes=1)
    if len(labels) != len(images):
        raise DamagedData(path, f"it has {len(labels)} labels for {len(images)} images")
    if labels.max() >= classes:
        raise DamagedData(path, f"it has the class {labels.max()}, and there are {classes}")
    return labels


def _read(path: Path, axes: int) -> Bytes:
    content = _content(path)
    header = 4 + 4 * axes
    # two zero bytes, 8 for unsigned bytes, and the number of axes
    if len(content) < header or content[:4] != bytes((0, 0, 8, axes)):
        raise DamagedData(path, f"it does not begin as an IDX file of {axes} axes does")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", axes, 4))
    if len(content) - header != math.prod(shape):
        raise DamagedData(path, f"it has {len(content) - header} of {math.prod(shape)} bytes")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _content(path: Path) -> bytes:
    try:
        if path.suffix != ".gz":
            return path.read_bytes()
        with gzip.open(path) as file:
            return file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedData(path, safe(error)) from None
