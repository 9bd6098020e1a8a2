"""Runs of the engine under commands, recorded as trainers record them, and what they lived."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.property.test_resume import SPEC, Life, Script
from tuitrain.connection.client import Client
from tuitrain.connection.follower import Follower
from tuitrain.core.commands import Request
from tuitrain.core.events import (
    BatchDone,
    CheckpointSaved,
    EpochEnded,
    Fact,
    LossSwapped,
    Measured,
    RunStarted,
    SettingChanged,
    TakeOpened,
)
from tuitrain.core.series import Series
from tuitrain.core.spec import RunSpec
from tuitrain.engine.training import Training
from tuitrain.record.recorder import Recorder
from tuitrain.store.paths import RunPaths
from tuitrain.store.writer import RunWriter
from tuitrain.trainer.derived import fork_of
from tuitrain.trainer.supervisor import new_run
from tuitrain.view.state.snapshot import Snapshot

AGAIN = Series("loss-again")
"""The loss of each batch, recorded as a series."""


class Batch(NamedTuple):
    take: int
    step: int
    loss: float
    loss_name: str
    lr: float


class Lived(NamedTuple):
    """The batches and epochs that led to the present weights."""

    batches: tuple[Batch, ...] = ()
    epochs: tuple[EpochEnded, ...] = ()
    changed: int = 0
    """The step at which its present settings came into effect."""

    def up_to(self, step: int, epoch: int) -> Lived:
        return Lived(
            tuple(batch for batch in self.batches if batch.step <= step),
            tuple(ended for ended in self.epochs if ended.epoch <= epoch),
            self.changed,
        )

    @property
    def best(self) -> EpochEnded | None:
        return next((epoch for epoch in reversed(self.epochs) if epoch.improved), None)

    @property
    def losses(self) -> list[tuple[int, float, str]]:
        return [(batch.step, batch.loss, batch.loss_name) for batch in self.batches]

    def trained(self, epoch: EpochEnded) -> bool:
        """Return whether the last batch of an epoch is of its take and with its loss.

        Two swaps after it can lead back to its loss, which then has no mean.
        """
        last = epoch.take, epoch.step, epoch.loss_name
        has_last = any((batch.take, batch.step, batch.loss_name) == last for batch in self.batches)
        return has_last and not math.isnan(epoch.train_loss)


def is_new_setting(event: Any) -> bool:
    match event:
        case SettingChanged():
            return event.setting != "pace" and event.value != event.previous
        case TakeOpened():
            return event.why != "resume"
        case _:
            return isinstance(event, LossSwapped)


class RecordedLife(Life):
    """A run whose trainers write a record. What it lived goes back wherever the run does."""

    def __init__(
        self, paths: RunPaths, commands: Sequence[tuple[int, Request]],
        parent: RecordedLife | None = None,
    ) -> None:  # fmt: skip
        super().__init__(paths.checkpoints, Script(commands), paths.read_spec())
        self.paths, self.parent, self.origin = paths, parent, paths.origin
        self.writer = RunWriter(paths.record)
        self.follower = Follower(Client(paths.directory))
        self.lived, self.take = Lived(), 1
        self.every_batch: dict[tuple[int, int], Batch] = {}
        self._at_checkpoints: dict[str, Lived] = {"": Lived()}
        self._settings: dict[str, Mapping[str, Any]] = {}
        """Those in use when a checkpoint was saved, by its file."""

    @classmethod
    def begin(
        cls, home: Path, commands: Sequence[tuple[int, Request]], spec: RunSpec = SPEC
    ) -> Self:
        with new_run(home, spec, "a") as (paths, _):
            return cls(paths, commands)

    def fork(
        self, epoch: int, changes: Mapping[str, Any], commands: Sequence[tuple[int, Request]]
    ) -> Self:
        """Return the fork from the checkpoint of an epoch; commands come so many steps later."""
        directory = self.paths.directory
        spec, saved = fork_of(self.spec, self.events, str(directory), epoch, changes)
        home, origin = directory.parent.parent, self.paths.checkpoints / saved.file
        name = f"{directory.name}-fork"
        later = [(saved.step + at, request) for at, request in commands]
        with new_run(home, spec, name, origin=origin, parent=self.paths) as (paths, _):
            return type(self)(paths, later, self)

    def live(self, moments: int | None = None) -> Training:
        """Train as `Life` does; a trainer that was killed has recorded no end."""
        self.recorder = Recorder(self.writer)
        run = super().live(moments)
        if self.ended:
            self.recorder.close()
        else:
            self.recorder.flush()
        return run

    def _record(self, event: Any) -> None:
        super()._record(event)
        match event:
            case BatchDone():
                batch = Batch(
                    event.take, event.step, float(event.loss), self.run.loss_name, float(event.lr)
                )
                self.lived = self.lived._replace(batches=(*self.lived.batches, batch))
                self.every_batch[batch.take, batch.step] = batch
            case EpochEnded():
                self.lived = self.lived._replace(epochs=(*self.lived.epochs, event))
            case CheckpointSaved():  # a best epoch's comes later
                self._at_checkpoints[event.file] = self.lived.up_to(event.step, event.epoch)
                self._settings[event.file] = self.run.settings
            case TakeOpened():
                self._open(event)
        if is_new_setting(event):
            self.lived = self.lived._replace(changed=event.step)
        self.recorder.take(event)
        if isinstance(event, BatchDone):
            self.recorder.take(Measured(event.take, event.step, {AGAIN: event.loss}))
        if not isinstance(event, Fact):
            self.recorder.flush()
            self.followed(self.follower.look())

    def _open(self, opened: TakeOpened) -> None:
        self.lived, self.take = self._at_checkpoints[opened.origin], opened.take
        started = next(event for event in self.events if isinstance(event, RunStarted))
        before = self._settings[opened.origin] if opened.origin else started.settings
        if {**opened.settings, "pace": None} != {**before, "pace": None}:
            self.lived = self.lived._replace(changed=opened.step)

    def followed(self, now: Snapshot) -> None:
        """Is called with what a screen shows after each event."""

    @property
    def run(self) -> Training:
        """The run of the present or the last trainer."""
        assert self.script.run is not None
        return self.script.run

    @property
    def began(self) -> tuple[int, int]:
        """Step and completed epochs with which it began."""
        parent = self.spec.parent
        return (parent.step, parent.epoch) if parent else (0, 0)

    @property
    def place(self) -> tuple[int, int]:
        """Step and completed epochs now."""
        step, epoch = self.began
        batches, epochs, _ = self.lived
        return (
            batches[-1].step if batches else step, epochs[-1].epoch if epochs else epoch,
        )  # fmt: skip

    @property
    def left(self) -> list[Batch]:
        """The batches that did not lead to the present weights."""
        lived = {batch[:2] for batch in self.lived.batches}
        return [batch for place, batch in self.every_batch.items() if place not in lived]

    @property
    def newest(self) -> Batch | None:
        """The newest batch of the present take."""
        batches = self.lived.batches
        return batches[-1] if batches and batches[-1].take == self.take else None
