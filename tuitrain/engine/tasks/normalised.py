"""Images as bytes, which become numbers on the device: they take a quarter of the memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tuitrain.engine.data import WHOLE, Batch, Part, Source


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

    def epoch(
        self, size: int, *, seed: int, number: int, skip: int = 0, part: Part = WHOLE
    ) -> Iterator[Batch]:
        """Yield an epoch's batches after the first `skip`, shuffled by seed and number."""
        batches = self.pixels.epoch(size, seed=seed, number=number, skip=skip, part=part)
        return map(self._normalise, batches)

    def batches(self, size: int, part: Part = WHOLE) -> Iterator[Batch]:
        """Yield (inputs, targets) of at most `size` samples, in order."""
        return map(self._normalise, self.pixels.batches(size, part))

    def _normalise(self, batch: Batch) -> Batch:
        pixels, targets = batch
        return pixels.float().sub_(self.mean).div_(self.deviation), targets


def spread(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of each channel (C, 1, 1) of images (N, C, H, W) uint8.

    They are counted, which takes no copy of the pixels as floats.
    """
    values = torch.arange(256, dtype=torch.float64)
    moments: list[tuple[Tensor, Tensor]] = []
    for channel in pixels.unbind(1):
        share = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
        mean = (share * values).sum()
        moments.append((mean, (share * (values - mean).square()).sum().sqrt().clamp(min=1.0)))
    mean, deviation = (
        torch.stack(part).float().reshape(-1, 1, 1) for part in zip(*moments, strict=True)
    )
    return mean, deviation
