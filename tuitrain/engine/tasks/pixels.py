"""Image files as pixels of one size: bytes until they are on the device, then normal numbers."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from tuitrain.core.errors import TuitrainError
from tuitrain.core.safe import safe
from tuitrain.engine.data import Batch, Source

_GREY = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L")


class DamagedImage(TuitrainError):
    """An image cannot be read."""

    def __init__(self, message: str, reason: str = "") -> None:
        # raised in a loader's process, it comes with a traceback before its own words
        super().__init__(message.strip().rpartition("DamagedImage: ")[2])
        self.reason = reason
        """Why, without the name of the file."""


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of an image before its pixels are read."""

    is_grey: bool
    bytes: int
    """Of the file."""


def read_header(path: Path) -> Header:
    """Return what an image file says of itself; DamagedImage if it is none."""
    try:
        size = _size_of(path)
        with Image.open(path) as image:
            return Header(image.mode in _GREY, size)
    except Exception as error:  # noqa: BLE001 - PIL's decoders raise anything
        raise _damaged(path, error) from None


def _size_of(path: Path) -> int:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):  # to open a pipe would wait for ever
        raise ValueError("it is no file")
    return found.st_size


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


@dataclass(frozen=True, slots=True)
class Normalised:
    """Another source's bytes as float32 with a mean of 0 and a deviation of 1, batch by batch."""

    pixels: Source
    """Of inputs (N, C, H, W) uint8."""
    mean: Tensor
    """Of each channel, (C, 1, 1)."""
    deviation: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.pixels.input_shape

    def to(self, device: torch.device) -> Normalised:
        """Return the samples for training on that device."""
        pixels = self.pixels.to(device)
        return Normalised(pixels, self.mean.to(device), self.deviation.to(device))

    def epoch(self, size: int, *, seed: int, number: int, skip: int = 0) -> Iterator[Batch]:
        """Yield an epoch's batches after the first `skip`, shuffled by seed and number."""
        return map(self._normalise, self.pixels.epoch(size, seed=seed, number=number, skip=skip))

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield (inputs, targets) of at most `size` samples, in order."""
        return map(self._normalise, self.pixels.batches(size))

    def _normalise(self, batch: Batch) -> Batch:
        pixels, targets = batch
        return pixels.float().sub_(self.mean).div_(self.deviation), targets


def spread(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of each channel (C, 1, 1) of images (N, C, H, W) uint8.

    They are counted, which takes no copy of the pixels as floats.
    """
    values = torch.arange(256, dtype=torch.float64)
    found: list[Any] = []
    for channel in pixels.unbind(1):
        share = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
        mean = (share * values).sum()
        found.append((mean, (share * (values - mean).square()).sum().sqrt().clamp(min=1.0)))
    mean, deviation = (
        torch.stack(part).float().reshape(-1, 1, 1) for part in zip(*found, strict=True)
    )
    return mean, deviation
