"""Copies of a model's buffers: a forward pass changes them before its batch is found nonfinite.

Batch norm adds the statistics of a batch to its running statistics. Those of a batch with one NaN
would make every later validation NaN, even if the optimizer skips the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor, nn

_Place = tuple[dict[str, Tensor | None], str]
"""A module's dictionary of buffers, and a buffer's name in it. The tensor is looked up each time,
since a module may assign another one."""


class Buffers:
    """Copies of a model's buffers from before a forward pass. They cost nothing without buffers.

    A buffer must keep its shape and dtype during training.
    """

    def __init__(self, model: nn.Module) -> None:
        places = [
            (module._buffers, name)
            for module in model.modules()
            for name, buffer in module._buffers.items()
            if buffer is not None
        ]
        places.sort(key=_kind_of)
        self._groups = tuple(_Group(list(group)) for _, group in groupby(places, key=_kind_of))

    def keep(self) -> None:
        """Copy the buffers, before a forward pass."""
        for group in self._groups:
            group.keep()

    def restore(self) -> None:
        """Restore the copied buffers."""
        for group in self._groups:
            group.restore()

    def restore_if(self, nonfinite: Tensor) -> None:
        """Restore the copied buffers if `nonfinite`, a device scalar, is not 0; do not read it."""
        for group in self._groups:
            group.restore_if(nonfinite)


def _kind_of(place: _Place) -> tuple[str, str]:
    buffer = place[0][place[1]]
    assert buffer is not None
    return str(buffer.device), str(buffer.dtype)


class _Group:
    """Buffers of one device and dtype, which a constant number of kernels copies together."""

    def __init__(self, places: list[_Place]) -> None:
        self._places = places
        buffers = self.current()
        self._before, self._before_views = _flat_like(buffers)
        self._after, self._after_views = _flat_like(buffers)

    def current(self) -> list[Tensor]:
        """Return the buffers themselves."""
        return [buffers[name] for buffers, name in self._places]  # type: ignore[misc]  # None is left out

    @torch.no_grad()
    def keep(self) -> None:
        torch._foreach_copy_(self._before_views, self.current())

    @torch.no_grad()
    def restore(self) -> None:
        torch._foreach_copy_(self.current(), self._before_views)

    @torch.no_grad()
    def restore_if(self, nonfinite: Tensor) -> None:
        """Select between the copies from before and after, by a condition on the device."""
        buffers = self.current()
        torch._foreach_copy_(self._after_views, buffers)
        is_nonfinite = nonfinite.to(self._before.device, non_blocking=True) != 0
        torch.where(is_nonfinite, self._before, self._after, out=self._after)
        torch._foreach_copy_(buffers, self._after_views)


def _flat_like(buffers: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Return one empty tensor with room for all buffers, and a view of it for each of them."""
    sizes = [buffer.numel() for buffer in buffers]
    flat = buffers[0].new_empty(sum(sizes))
    parts = zip(torch.split(flat, sizes), buffers, strict=True)
    return flat, [part.view(buffer.shape) for part, buffer in parts]
