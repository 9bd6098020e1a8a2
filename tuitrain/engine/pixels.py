"""Small grey pictures of samples that are images, as text for a record."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional

_WIDEST = 32
"""Pixels; pictures that are wider or higher are shrunk by averaging."""


def pixels_of(image: Tensor) -> dict[str, Any]:
    """Return `width` and `pixels` of a tensor (C, H, W) of one or three colours, else nothing.

    Each pixel is a hexadecimal digit, from the darkest of the picture to the brightest.
    """
    if image.dim() != 3 or len(image) not in (1, 3):
        return {}
    grey = image.float().mean(dim=0)
    step = -(-max(grey.shape) // _WIDEST)
    grey = functional.avg_pool2d(grey[None], step)[0] if step > 1 else grey
    low, high = grey.min(), grey.max()
    digits = ((grey - low) / (high - low).clamp_min(1e-12) * 15).round().nan_to_num().int()
    return {
        "width": grey.shape[1],
        "pixels": "".join(f"{digit:x}" for digit in digits.flatten().tolist()),
    }
