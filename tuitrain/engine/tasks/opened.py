"""A task as a run trains it, wherever it came from: the catalogue, a table, images, or a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn
from torch.optim import Optimizer

from tuitrain.core.problem import Card
from tuitrain.engine.data import Dataset, Source


class Names(NamedTuple):
    """The names of samples: cells of these columns, a row for each sample."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


class NewData(NamedTuple):
    """Samples that a run has not seen, to be predicted."""

    names: Names
    source: Source
    has_targets: bool
    """Whether the targets of `source` are known; else they are anything."""
    notes: Sequence[str] = ()
    """Remarks on data that the model cannot use as they are, a line each."""


@dataclass(frozen=True, slots=True)
class OpenedTask:
    """Data, and what the task has of its own."""

    data: Dataset
    card: Card = field(default_factory=Card)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Settings of a run by name: the model of the catalogue, loss, lr, batch_size, epochs."""
    model: Callable[[], nn.Module] | None = None
    optimizer: Callable[[Any], Optimizer] | None = None
    schedule: Callable[[float], float] | None = None
    losses: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    read_new: Callable[[Sequence[Path]], NewData] | None = None
    """Reads files or folders as the task reads its own, for `tuitrain predict`; raises WrongUse."""
    val_names: Callable[[], Names] | None = None
    """Names the samples for validation; None: they are numbered."""
    libraries: tuple[str, ...] = ()
    """The distributions that read and prepared the data, beside PyTorch."""
    is_own: bool = False
    """The user wrote it, so that it is checked on one batch first."""
    warnings: tuple[str, ...] = ()
    """Doubts about the data."""
    places: Mapping[str, str] = field(default_factory=dict)
    """The line of each field of the task in the user's file, `task.py, line 7: `; "": the task."""

    def place(self, name: str, setting: str | None = None) -> str:
        """Return where a field of the user's task is, or else the task; empty for another task.

        It is empty, too, where the `setting` of the run for that field is not that of the task.
        """
        if setting is not None and setting != (self.defaults.get(name) or ""):
            return ""
        return self.places.get(name) or self.places.get("", "")
