"""MNIST and data sets in its format, from IDX files (Y. LeCun et al., The MNIST database, 1998)."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from tuitrain.engine.data import Parts
from tuitrain.engine.tasks.normalise import normalised_channels

Bytes = NDArray[np.uint8]


def mnist(folder: Path) -> Parts:
    """Return 60,000 images (N, 1, 28, 28) with classes (N,), then 10,000 for validation."""
    return idx_images(folder, "MNIST")


def fashion_mnist(folder: Path) -> Parts:
    """Return images of clothes, in MNIST's format (H. Xiao, K. Rasul, R. Vollgraf, 2017)."""
    return idx_images(folder, "FashionMNIST")


def kmnist(folder: Path) -> Parts:
    """Return cursive Japanese characters, in MNIST's format (T. Clanuwat et al., 2018)."""
    return idx_images(folder, "KMNIST")


def idx_images(folder: Path, name: str) -> Parts:
    """Return a data set's images and classes; without t10k files, a fifth is for validation."""
    places = (folder / name / "raw", folder / "raw", folder)
    with_images = (place for place in places if any(place.glob("train-images-idx3-ubyte*")))
    folder = next(with_images, folder)
    train, labels = labelled_images(folder, "train")
    if any(folder.glob("t10k-images-idx3-ubyte*")):
        val, val_labels = labelled_images(folder, "t10k")
    else:
        train, val, labels, val_labels = train_test_split(
            train, labels, test_size=0.2, random_state=0, stratify=labels
        )
    train_inputs, val_inputs = normalised_channels(train, val)
    return train_inputs, torch.tensor(labels).long(), val_inputs, torch.tensor(val_labels).long()


def labelled_images(folder: Path, part: str) -> tuple[Bytes, Bytes]:
    """Return the images (N, 1, H, W) and classes (N,) of the part `train` or `t10k`.

    Raises ValueError if they do not match, and the errors of `read_idx`.
    """
    images = read_idx(folder, f"{part}-images-idx3-ubyte")
    labels = read_idx(folder, f"{part}-labels-idx1-ubyte")
    if images.shape[:1] != labels.shape:
        raise ValueError(f"{folder} has {len(labels)} labels for {len(images)} images in {part}")
    if not images.size:
        raise ValueError(f"{folder} has no images in {part}")
    return images[:, None], labels


def read_idx(folder: Path, name: str) -> Bytes:
    """Return the bytes in an IDX file, gzipped or not, in the shape that its header gives.

    Raises FileNotFoundError, or ValueError if the file is damaged.
    """
    path = folder / name if (folder / name).is_file() else folder / f"{name}.gz"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no {name}")
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        shape = struct.unpack_from(f">{content[3]}I", content, offset=4)
        return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)
    except (OSError, EOFError, IndexError, ValueError, struct.error, zlib.error) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
