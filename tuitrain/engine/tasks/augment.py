"""Random changes to training images, by torchvision's transforms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Generator, Tensor
from torchvision.transforms import v2


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Changes images (C, H, W) uint8; it draws from the global generators, which its caller seeds.

    torchvision's transforms take no generator of their own.
    """

    transform: v2.Transform

    def __call__(self, image: Tensor, _generator: Generator) -> Tensor:
        changed: Tensor = self.transform(image)
        return changed


def augmentation(names: Iterable[str], size: int) -> Augmentation:
    """Return the changes of those names, in one order whatever theirs is."""
    known = {
        "flip": v2.RandomHorizontalFlip(),
        "crop": v2.RandomCrop(size, padding=max(1, size // 8), padding_mode="edge"),
        "color": v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3),
    }
    chosen = set(names)
    return Augmentation(v2.Compose([known[name] for name in known if name in chosen]))
