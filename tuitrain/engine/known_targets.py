"""The targets of a task, as far as they are known without reading its samples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Subset, TensorDataset

from tuitrain.engine.data import Dataset, Samples, Source
from tuitrain.engine.streaming import Streamed
from tuitrain.engine.tasks.normalised import Normalised


def known_targets(source: Source) -> Tensor | None:
    """Return the targets of a source, None if its samples must be read for them."""
    match source:
        case Samples():
            return source.targets
        case Normalised():
            return known_targets(source.pixels)
        case Streamed():
            return _targets_of_dataset(source.dataset)
        case _:
            return None


def why_no_counts(data: Dataset) -> str | None:
    """Return why a loss for counts does not fit the targets; None if it does."""
    if data.is_standardised:
        return "its targets are standardised, and counts must be in their own unit"
    for source in (data.train, data.val):
        targets = known_targets(source)
        if targets is None:
            return (
                "its targets are not known before they are read, and counts must be 0 or more: "
                "give the dataset an attribute `targets`"
            )
        if bool((targets < 0).any()):
            return f"there is a target {float(targets.min()):g}, and counts must be 0 or more"
    return None


def _targets_of_dataset(dataset: Any) -> Tensor | None:
    if isinstance(dataset, Subset):
        targets = _targets_of_dataset(dataset.dataset)
        return None if targets is None else targets[torch.as_tensor(dataset.indices)]
    if isinstance(dataset, TensorDataset):
        return dataset.tensors[1]
    targets = getattr(dataset, "targets", None)
    return None if targets is None else torch.as_tensor(targets)
