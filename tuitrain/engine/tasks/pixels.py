"""Image files as pixels of one size."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from tuitrain.core.errors import TuitrainError
from tuitrain.core.safe import safe

_GREY = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L")


class DamagedImage(TuitrainError):
    """An image cannot be read."""

    def __init__(self, message: str, reason: str = "") -> None:
        # raised in a loader's process, it comes with a traceback before its own words
        super().__init__(message.strip().rpartition("DamagedImage: ")[2])
        self.reason = reason
        """Why, without the name of the file."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """An image before its pixels are read."""

    is_grey: bool
    bytes: int
    """Of the file."""


def read_header(path: Path) -> ImageHeader:
    """Return what an image file says of itself; DamagedImage if it is none."""
    try:
        size = _size_of(path)
        with Image.open(path) as image:
            return ImageHeader(image.mode in _GREY, size)
    except Exception as error:  # noqa: BLE001 - PIL's decoders raise anything
        raise _damaged(path, error) from None


def _size_of(path: Path) -> int:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # to open a pipe would wait for ever
        raise ValueError("it is no file")
    return status.st_size


def read_pixels(path: Path, size: int, channels: int) -> Tensor:
    """Return the image (channels, size, size) uint8, upright, its middle cut to a square.

    Of 16 bits the upper 8 count, and what is transparent is white. Raises DamagedImage.
    """
    try:
        with Image.open(path) as file:
            file.draft(None, (2 * size, 2 * size))  # JPEG decodes as much as is needed
            image = _on_white(ImageOps.exif_transpose(_of_8_bits(file)))
            image = image.convert("L" if channels == 1 else "RGB")
            image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    except Exception as error:  # noqa: BLE001 - PIL's decoders raise anything
        raise _damaged(path, error) from None
    rows = np.array(image).reshape(size, size, channels)
    return torch.from_numpy(rows).permute(2, 0, 1).contiguous()


def _of_8_bits(image: Image.Image) -> Image.Image:
    """Return an image of at most 8 bits a channel, where PIL's own conversion would clip."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("its pixels have 32 bits, of an unknown range")
    return image


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _damaged(path: Path, error: Exception) -> Exception:
    if isinstance(error, MemoryError | DamagedImage):
        return error
    reason: object = (isinstance(error, OSError) and error.strerror) or error
    if isinstance(error, UnidentifiedImageError):
        reason = "it is no image"
    if isinstance(error, Image.DecompressionBombError):
        reason = "it has too many pixels"
    return DamagedImage(f"cannot read {safe(path)}: {safe(reason)}", safe(reason))


@dataclass(frozen=True, slots=True)
class LabelledFiles:
    """Images that are read from their files when they are needed, and their classes."""

    paths: Sequence[Path]
    targets: Tensor
    """Classes (N,) int64."""
    size: int
    channels: int

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return read_pixels(self.paths[index], self.size, self.channels), self.targets[index]
