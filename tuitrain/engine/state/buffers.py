"""The buffers of a model: a forward pass changes them before its batch can be judged.

Batch norm adds the statistics of a batch to its running ones; those of a batch with one NaN would
make every later validation NaN, whatever the optimizer does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor, nn

_Place = tuple[dict[str, Tensor | None], str]
"""Where a module holds a buffer: looked up each time, since a module may assign another tensor."""


class Buffers:
    """Copies of a model's buffers from before a forward pass. Costs nothing where there are none.

    A buffer keeps its shape and its dtype while it is trained.
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
        """Copy them, before a forward pass."""
        for group in self._groups:
            group.keep()

    def put_back(self) -> None:
        """Let them be what they were when they were copied."""
        for group in self._groups:
            group.put_back()

    def put_back_if(self, nonfinite: Tensor) -> None:
        """Do so where `nonfinite`, a scalar on the device, is not 0, without reading it."""
        for group in self._groups:
            group.select(nonfinite)


def _kind_of(place: _Place) -> tuple[str, str]:
    buffer = place[0][place[1]]
    assert buffer is not None
    return str(buffer.device), str(buffer.dtype)


class _Group:
    """Buffers of one device and dtype: a kernel or two for all of them, however many there are."""

    def __init__(self, places: list[_Place]) -> None:
        self._places = places
        buffers = self.now()
        self._before, self._before_each = _flat_like(buffers)
        self._after, self._after_each = _flat_like(buffers)

    def now(self) -> list[Tensor]:
        """Return the buffers themselves."""
        return [buffers[name] for buffers, name in self._places]  # type: ignore[misc]

    @torch.no_grad()
    def keep(self) -> None:
        torch._foreach_copy_(self._before_each, self.now())

    @torch.no_grad()
    def put_back(self) -> None:
        torch._foreach_copy_(self.now(), self._before_each)

    @torch.no_grad()
    def select(self, nonfinite: Tensor) -> None:
        """Choose between the two copies by a condition that stays on the device."""
        now = self.now()
        torch._foreach_copy_(self._after_each, now)
        was_bad = nonfinite.to(self._before.device, non_blocking=True) != 0
        torch.where(was_bad, self._before, self._after, out=self._after)
        torch._foreach_copy_(now, self._after_each)


def _flat_like(buffers: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Return room for all the buffers in one tensor, and the part of each as a view."""
    sizes = [buffer.numel() for buffer in buffers]
    flat = buffers[0].new_empty(sum(sizes))
    parts = zip(torch.split(flat, sizes), buffers, strict=True)
    return flat, [part.view(buffer.shape) for part, buffer in parts]
