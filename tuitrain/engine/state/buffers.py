"""Copies of tensors to restore, such as the buffers of a model and of a loss of one's own.

A forward pass changes buffers before its batch is found nonfinite.

Batch norm adds the statistics of a batch to its running statistics. Those of a batch with one NaN
would make every later validation NaN, even if the optimizer skips the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

import torch
from torch import Tensor, nn

from tuitrain.engine.device import on_device

Place = tuple[Mapping[str, Tensor | None], str]
"""A dictionary of tensors, such as that of a module's buffers, and a name in it. The tensor is
looked up each time, since a module may assign another one."""


def buffers(*parts: object) -> list[Place]:
    """Return the places of the buffers of a model, and of a loss if it is a module."""
    return [
        (module._buffers, name)
        for part in parts
        if isinstance(part, nn.Module)
        for module in part.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]


class Unsaved:
    """The buffers of a model or a loss that no checkpoint has, as they were made.

    A new process begins with them. One that is made later, or gets another shape, is a cache that
    its module looks after.
    """

    def __init__(self, part: object) -> None:
        self._modules = list(part.modules()) if isinstance(part, nn.Module) else []
        self._made = [
            ((module._buffers, name), buffer.detach().clone())
            for module in self._modules
            for name, buffer in module._buffers.items()
            if buffer is not None and name in module._non_persistent_buffers_set
        ]

    @torch.no_grad()
    def restore(self) -> None:
        """Let them be as they were made."""
        for now, made in self._same():
            now.copy_(made)

    def caches(self) -> set[int]:
        """Return the `id` of each other buffer that no checkpoint has."""
        unsaved = {
            id(module._buffers[name])
            for module in self._modules
            for name in module._non_persistent_buffers_set
        }
        return unsaved - {id(now) for now, _ in self._same()}

    def _same(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each as it is now and as it was made, where it has the same form."""
        for (tensors, name), made in self._made:
            now = tensors.get(name)
            if now is not None and (now.shape, now.dtype) == (made.shape, made.dtype):
                yield now, made


class Copies:
    """Copies of tensors. They cost nothing where there are no tensors.

    A tensor must keep its shape and dtype during training.
    """

    def __init__(self, places: Iterable[Place]) -> None:
        places = sorted(places, key=_kind_of)
        self._groups = tuple(_Group(list(group)) for _, group in groupby(places, key=_kind_of))

    def keep(self) -> None:
        """Copy the tensors."""
        for group in self._groups:
            group.keep()

    def restore(self) -> None:
        """Restore the copied tensors."""
        for group in self._groups:
            group.restore()

    def restore_if(self, nonfinite: Tensor) -> None:
        """Restore the copied tensors if `nonfinite`, a device scalar, is not 0; do not read it."""
        for group in self._groups:
            group.restore_if(nonfinite)


def _kind_of(place: Place) -> tuple[str, str]:
    tensor = place[0][place[1]]
    assert tensor is not None
    return str(tensor.device), str(tensor.dtype)


class _Group:
    """Tensors of one device and dtype, which a constant number of kernels copies together."""

    def __init__(self, places: list[Place]) -> None:
        self._places = places
        tensors = self.current()
        self._before, self._before_views = _flat_like(tensors)
        self._after, self._after_views = _flat_like(tensors)

    def current(self) -> list[Tensor]:
        """Return the tensors themselves."""
        return [tensors[name] for tensors, name in self._places]  # type: ignore[misc]  # None is left out

    @torch.no_grad()
    def keep(self) -> None:
        torch._foreach_copy_(self._before_views, self.current())

    @torch.no_grad()
    def restore(self) -> None:
        torch._foreach_copy_(self.current(), self._before_views)

    @torch.no_grad()
    def restore_if(self, nonfinite: Tensor) -> None:
        """Select between the copies from before and after, by a condition on the device."""
        tensors = self.current()
        torch._foreach_copy_(self._after_views, tensors)
        is_nonfinite = on_device(nonfinite, self._before.device) != 0
        torch.where(is_nonfinite, self._before, self._after, out=self._after)
        torch._foreach_copy_(tensors, self._after_views)


def _flat_like(tensors: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """Return one empty tensor with room for all tensors, and a view of it for each of them."""
    sizes = [tensor.numel() for tensor in tensors]
    flat = tensors[0].detach().new_empty(sum(sizes))
    parts = zip(torch.split(flat, sizes), tensors, strict=True)
    return flat, [part.view(tensor.shape) for part, tensor in parts]
