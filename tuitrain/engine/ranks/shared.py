"""Tensors that all ranks have alike."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, distributed


@torch.no_grad()
def share(tensors: Iterable[Tensor]) -> None:
    """Give each rank the tensors of the first, those of one kind in one message."""
    kinds: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault((tensor.device, tensor.dtype), []).append(tensor)
    for alike in kinds.values():
        flat = torch.cat([tensor.flatten() for tensor in alike])
        distributed.broadcast(flat, 0)
        values = torch.split(flat, [tensor.numel() for tensor in alike])
        for tensor, value in zip(alike, values, strict=True):
            tensor.copy_(value.view(tensor.shape))
