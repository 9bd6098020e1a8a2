"""A model of the catalogue, and the images that it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tuitrain.catalog.entry import Entry


@dataclass(frozen=True, slots=True)
class ModelEntry(Entry):
    """A model, and the least that it can be trained on."""

    least_size: int = 1
    """The smallest height and width of an image, in pixels."""
    multiple_of: int = 1
    """What the sides of an image must be a multiple of; above 1, the image must be square."""
    least_batch: int = 1
    """The smallest training batch; for batch norm over one number of each channel, it is 2."""

    def why_not(self, shape: Sequence[int]) -> str | None:
        """Return why the model cannot take samples of that shape; None if it can."""
        if not self.needs_images:
            return None
        if len(shape) != 3:
            return f"{self.name} needs images (channels, height, width), and a sample is {shape}"
        _, height, width = shape
        is_large = min(height, width) >= self.least_size
        if is_large and (
            self.multiple_of == 1 or (height == width and not height % self.multiple_of)
        ):
            return None
        return (
            f"{self.name} needs {self.takes}, and these are {height}x{width}; "
            "a folder of images takes --image-size"
        )

    @property
    def takes(self) -> str:
        """The images that it takes; empty if their size does not matter."""
        if self.multiple_of > 1:
            return f"square images whose side is a multiple of {self.multiple_of} pixels"
        size = self.least_size
        return f"images of at least {size}x{size} pixels" if size > 1 else ""
