"""All that a program must know to train as a run did, up to a checkpoint of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from tuitrain.catalog import Kind, task_named
from tuitrain.core.commands import Change, Setting, SwapLoss
from tuitrain.core.errors import DamagedRecord, Refused, TuitrainError
from tuitrain.core.events import CheckpointSaved, NotFinite, RunStarted
from tuitrain.core.plan import Planned
from tuitrain.core.safe import safe
from tuitrain.core.spec import RunSpec
from tuitrain.export.epoch_boundaries import EpochBoundaries
from tuitrain.export.lineage import RunLineage


@dataclass(frozen=True)
class Recipe:
    """A run from its first batch to one of its checkpoints."""

    name: str
    spec: RunSpec
    started: RunStarted
    plan: tuple[Planned, ...]
    """The changes that a batch before the checkpoint felt."""
    until: int
    """The step of the checkpoint."""
    weights_sha256: str
    origin: Path | None = None
    """The checkpoint of another run that this one goes on from."""
    skips_bad_batches: bool = False
    """A loss or gradient was not finite, and the weights were left as they were."""

    @classmethod
    def of(cls, line: RunLineage, checkpoint: CheckpointSaved) -> Recipe:
        """Return what led to a checkpoint of the line; Refused if what it began with is gone."""
        spec = line.spec
        bad = [each for each in line.events if isinstance(each, NotFinite)]
        return cls(
            line.paths.name,
            spec,
            line.started,
            tuple(each for each in line.plan if each.step < checkpoint.step),
            checkpoint.step,
            checkpoint.weights_sha256,
            _origin(line),
            any(each.step <= checkpoint.step for each in bad),
        )

    @property
    def kind(self) -> Kind:
        return task_named(self.spec.task).kind  # its program loads the data as that task does

    @property
    def begin(self) -> tuple[int, int]:
        """Steps and completed epochs before the first batch: a fork's parent has some."""
        parent = self.spec.parent
        return (parent.step, parent.epoch) if parent else (0, 0)

    @cached_property
    def calendar(self) -> EpochBoundaries:
        """When its epochs begin."""
        samples = self.started.train_samples
        return EpochBoundaries(self.begin, samples, self.setting("batch-size"), self.plan)

    @property
    def losses(self) -> list[str]:
        """The losses that it is trained with, each once."""
        commands = [each.command for each in self.plan]
        swapped = [command.loss for command in commands if isinstance(command, SwapLoss)]
        return list(dict.fromkeys([self.setting("loss"), *swapped]))

    @property
    def clips(self) -> bool:
        """Whether the norm of gradients is bounded at any time."""
        return self.setting("clip-norm") is not None or self.changes("clip-norm")

    def setting(self, setting: Setting | Literal["loss"]) -> Any:
        """Return the value with which the run begins, checked: a record may be anybody's."""
        if setting not in self.started.settings:
            raise DamagedRecord(f"it does not say with which {setting} it began", self.name)
        value = self.started.settings[setting]
        if setting == "loss":
            return SwapLoss(value).loss
        return Change(setting, value).value

    @property
    def environment(self) -> Mapping[str, str]:
        """What bit-for-bit repetition depends on, checked as `setting` is."""
        found = self.started.environment
        if not {"torch", "threads", "cpu", "device"} <= set(found) or not (
            found["threads"].isascii() and found["threads"].isdigit()
        ):
            raise DamagedRecord("it does not say on what it was trained", self.name)
        return found

    def changes(self, setting: str) -> bool:
        """Return whether the plan changes that setting."""
        return any(each.command.kind == setting for each in self.plan)

    def last(self, setting: Setting) -> Any:
        """Return the value that the setting has in the end."""
        commands = [each.command for each in self.plan]
        values = [
            each.value for each in commands if isinstance(each, Change) and each.kind == setting
        ]
        return [self.setting(setting), *values][-1]


def _origin(line: RunLineage) -> Path | None:
    init_from = line.spec.init_from
    if init_from and not Path(init_from).is_file():
        raise Refused(f"the weights that it began with are gone: {safe(init_from)}")
    sha256 = line.spec.parent.sha256 if line.spec.parent else None
    if sha256 is None:
        return None
    path = line.paths.origin.absolute()
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TuitrainError(f"cannot read {safe(path)}: {safe(error.strerror)}") from None
    if found != sha256:
        raise TuitrainError(f"{safe(path)}, the checkpoint that it began with, is damaged")
    return path
