"""Everything that a program needs to train the same way as a run, up to one of its checkpoints."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from tuitrain.core.commands import Change, Setting, SwapLoss
from tuitrain.core.errors import DamagedRecord, Refused, TuitrainError
from tuitrain.core.events import CheckpointSaved, NotFinite, RateReduced, RunStarted
from tuitrain.core.files import read_plain
from tuitrain.core.own import own_python, source_of, title_of
from tuitrain.core.plan import Planned
from tuitrain.core.problem import Problem
from tuitrain.core.safe import safe
from tuitrain.core.schedules import OWN, RateSchedule
from tuitrain.core.spec import RunSpec
from tuitrain.core.values import BALANCED, ClassWeights
from tuitrain.export.lineage import RunLineage
from tuitrain.history.epoch_boundaries import EpochBoundaries
from tuitrain.history.lineage import Lineage
from tuitrain.history.plan import plan_of

_INSTEAD = "--format weights exports the model, csv, jsonl and tensorboard what was recorded"


@dataclass(frozen=True)
class Recipe:
    """The training of a run from its first batch to one of its checkpoints."""

    name: str
    spec: RunSpec
    lineage: Lineage
    until: int
    """The step of the checkpoint."""
    weights_sha256: str
    origin: Path | None = None
    """The checkpoint of another run that this one starts from."""
    skips_nonfinite: bool = False
    """A loss or gradient was nonfinite, and its batch did not change the weights."""

    @classmethod
    def of(cls, run: RunLineage, checkpoint: CheckpointSaved) -> Recipe:
        """Return the recipe for a checkpoint of the lineage; Refused where there is none."""
        _check_built_in(run)
        nonfinite = [event for event in run.events if isinstance(event, NotFinite)]
        return cls(
            run.paths.name,
            run.spec,
            run.lineage,
            checkpoint.step,
            checkpoint.weights_sha256,
            _origin(run),
            any(event.step <= checkpoint.step and not event.name for event in nonfinite),
        )

    @property
    def started(self) -> RunStarted:
        """The event with which training began."""
        assert self.lineage.first_start is not None
        return self.lineage.first_start

    @cached_property
    def plan(self) -> Sequence[Planned]:
        """The changes that affect a batch before the checkpoint."""
        return [change for change in plan_of(self.lineage) if change.step < self.until]

    @property
    def reductions(self) -> Sequence[RateReduced]:
        """Where a plateau schedule lowered the learning rate before the checkpoint."""
        return [event for event in self.lineage.reductions if event.step < self.until]

    @property
    def problem(self) -> Problem:
        """The learning problem, as the run states it."""
        return self.started.problem

    @property
    def class_weights(self) -> tuple[float, ...]:
        """The weights of the classes in each loss; empty if there are none."""
        text = self.spec.class_weights
        if text == BALANCED:
            raise DamagedRecord("it does not say how it weighed the classes", self.name)
        return ClassWeights.numbers(text) if text else ()

    @property
    def epoch_boundaries(self) -> EpochBoundaries:
        """The steps at which epochs begin."""
        boundaries = self.lineage.epoch_boundaries
        if not all(span.steps_per_epoch > 0 for span in boundaries.spans):
            raise DamagedRecord("it does not say how long its epochs are", self.name)
        return boundaries

    @property
    def losses(self) -> list[str]:
        """The losses used for training, without duplicates."""
        commands = [change.command for change in self.plan]
        swapped = [command.loss for command in commands if isinstance(command, SwapLoss)]
        return list(dict.fromkeys([self.setting("loss"), *swapped]))

    @property
    def schedules(self) -> list[RateSchedule]:
        """The schedules of the learning rate in order, the first with which the run began."""
        commands = [change.command for change in self.plan if change.command.kind == "schedule"]
        initial = str(self.lineage.initial_settings["schedule"])  # older records lack it
        texts = [initial, *(command.detail for command in commands)]
        try:
            schedules = [RateSchedule.read(text) for text in texts]
        except ValueError:
            raise DamagedRecord("it has a schedule that there is not", self.name) from None
        if any(schedule.name == OWN for schedule in schedules):
            raise Refused("a program has only what is built in, and its schedule is your own")
        return schedules

    @property
    def clips(self) -> bool:
        """Whether gradients are clipped at any time."""
        return self.setting("clip-norm") is not None or self.changes("clip-norm")

    def setting(self, setting: Setting | Literal["loss"]) -> Any:
        """Return the initial value of a setting, validated: the record may come from anywhere."""
        if setting not in self.started.settings:
            raise DamagedRecord(f"it does not say which {setting} it began with", self.name)
        value = self.started.settings[setting]
        if setting == "loss":
            return SwapLoss(value).loss
        return Change(setting, value).value

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment on which bit-for-bit equality depends, validated as by `setting`."""
        environment = self.started.environment
        if not {"torch", "threads", "cpu", "device"} <= set(environment) or not (
            environment["threads"].isascii() and environment["threads"].isdigit()
        ):
            raise DamagedRecord("it does not name the environment of its training", self.name)
        return environment

    def changes(self, setting: str) -> bool:
        """Return whether the plan changes that setting."""
        return any(change.command.kind == setting for change in self.plan)

    def last(self, setting: Setting) -> Any:
        """Return the final value of a setting."""
        commands = [change.command for change in self.plan]
        values = [
            command.value
            for command in commands
            if isinstance(command, Change) and command.kind == setting
        ]
        return [self.setting(setting), *values][-1]


def _check_built_in(run: RunLineage) -> None:
    """Raise Refused if the run has something of the user's own, which a program cannot copy."""
    spec, commands = run.spec, [change.command for change in run.plan]
    swapped = [command.loss for command in commands if isinstance(command, SwapLoss)]
    texts = (spec.task, spec.model, spec.optimizer, spec.loss, *swapped)
    if any(map(own_python, texts)):
        paths = run.paths
        raise Refused(
            f"{paths.title} trains code of your own, which no program can contain: it is in "
            f"{safe(paths.code)}; {_INSTEAD}"
        )
    if spec.is_distributed:
        raise Refused(
            f"a program trains on one device, and several ranks trained this run; {_INSTEAD}"
        )
    if source_of(spec.task) != "catalog":
        raise Refused(
            f"a program has only what is built in, and {safe(title_of(spec.task))} is your own; "
            f"{_INSTEAD}"
        )


def _origin(run: RunLineage) -> Path | None:
    init_from = run.spec.init_from
    if init_from and not Path(init_from).is_file():
        raise Refused(f"the weights that it began with are gone: {safe(init_from)}")
    sha256 = run.spec.parent.sha256 if run.spec.parent else None
    if sha256 is None:
        return None
    path = run.paths.origin.absolute()
    try:
        with read_plain(path) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TuitrainError(f"cannot read {safe(path)}: {safe(error.strerror)}") from None
    if digest != sha256:
        raise TuitrainError(f"{safe(path)}, the checkpoint that it began with, is damaged")
    return path
