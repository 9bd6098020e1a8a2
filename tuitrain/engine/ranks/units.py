"""The parts of a model that are made whole one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

_LISTS = nn.Sequential | nn.ModuleList | nn.ModuleDict
_LEAST = 0.1
"""A part that is smaller, as a share of the mean of them, is not worth messages of its own."""


def units_of(model: nn.Module) -> list[nn.Module]:
    """Return the parts that are sharded one by one: the blocks of lists, and other children.

    What is in none of them is made whole with the model itself. There are none where two of them
    share weights, which have to be whole at the same time.
    """
    parts = [part for part in _parts(model) if _size(part)]
    least = _LEAST * sum(map(_size, parts)) / max(1, len(parts))
    found = [part for part in parts if _size(part) > least]
    return [] if _share_weights(model, found) else found


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    for child in module.children():
        if isinstance(child, _LISTS) or any(map(_is_list_of_blocks, child.modules())):
            yield from _parts(child)
        else:
            yield child


def _is_list_of_blocks(module: nn.Module) -> bool:
    """Return whether it is a list of parts that have parts."""
    blocks = [child for child in module.children() if any(True for _ in child.children())]
    return isinstance(module, _LISTS) and len(blocks) > 1


def _size(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def _share_weights(model: nn.Module, parts: list[nn.Module]) -> bool:
    owner = {name: number for number, part in enumerate(parts) for name in _modules(part)}
    owners: dict[int, set[int]] = {}
    for module in model.modules():
        for weight in module.parameters(recurse=False):
            owners.setdefault(id(weight), set()).add(owner.get(id(module), -1))
    return any(len(numbers) > 1 for numbers in owners.values())


def _modules(part: nn.Module) -> Iterator[int]:
    return map(id, part.modules())
