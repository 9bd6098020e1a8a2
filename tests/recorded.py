"""A run's record for what is drawn of it: real tables, the engine's start, losses of our own."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from tuitrain import catalog
from tuitrain.catalog import task_named
from tuitrain.core.commands import Change, Setting
from tuitrain.core.events import (
    CheckpointSaved,
    CommandAccepted,
    Detail,
    EpochEnded,
    Event,
    Finished,
    LossSwapped,
    RunStarted,
    SettingChanged,
    TakeOpened,
)
from tuitrain.core.problem import Kind, Metric, Problem
from tuitrain.core.series import Series
from tuitrain.core.spec import RunSpec
from tuitrain.store.delta import Cursor
from tuitrain.store.paths import RunPaths
from tuitrain.store.reader import RunReader
from tuitrain.store.schema import BatchRow, key_of
from tuitrain.store.writer import MeasuredRow, RunWriter, Stamped
from tuitrain.view.state.fold import fold
from tuitrain.view.state.snapshot import Snapshot

STEPS = 23
"""An epoch."""

_LOSSES: Mapping[Kind, tuple[str, ...]] = {
    "multiclass": ("cross-entropy", "bce-with-logits", "mse", "l1"),
    "binary": ("bce-with-logits", "cross-entropy", "mse", "l1"),
    "regression": ("mse", "l1"),
}
_OF_NUMBERS = ("smooth-l1", "huber", "log-cosh", "quantile", "poisson-nll")
_MISFITS: Mapping[Kind, tuple[str, ...]] = {
    "multiclass": ("hinge", "soft-margin", "multilabel-soft-margin", *_OF_NUMBERS),
    "binary": ("nll", "multi-margin", "multilabel-soft-margin", *_OF_NUMBERS),
    "regression": ("cross-entropy", "bce-with-logits", "nll", "focal", "multi-margin", "hinge"),
}
_OF_CLASSES = (Metric("accuracy", "max"), Metric("f1_macro", "max"), Metric("auroc", "max"))
_METRICS: Mapping[Kind, tuple[Metric, ...]] = {
    "multiclass": _OF_CLASSES,
    "binary": _OF_CLASSES,
    "regression": (Metric("rmse", "min"), Metric("mae", "min"), Metric("r2", "max")),
}
"""What recorded runs state, whatever else the catalogue has: pictures of them stay as they are."""

Way = Callable[[int], float]
"""From a step to a loss."""


@cache
def started(task: str = "digits", **settings: object) -> RunStarted:
    """Return what the engine says when a run of this task, on the CPU, is about to train."""
    from tuitrain.engine.build import build  # torch, only where it is needed

    begun = build(catalog.new_spec(task, device="cpu", **settings)).started()
    assert begun.problem is not None
    card = replace(begun.card, origin="")
    return replace(begun, environment={}, problem=_pinned(begun.problem), card=card)


def problem(kind: Kind) -> Problem:
    """Return the problem that recorded runs of that kind state."""
    return _pinned(catalog.problem(kind))


def _pinned(stated: Problem) -> Problem:
    kind = stated.kind
    return replace(
        stated, losses=_LOSSES[kind], metrics=_METRICS[kind],
        misfits={name: stated.misfits[name] for name in _MISFITS[kind]},
    )  # fmt: skip


def decay(step: int) -> float:
    """A loss as it usually goes."""
    return 0.1 + 2.2 * math.exp(-step / 150)


def in_home(home: Path, name: str, **settings: object) -> "RecordedRun":
    """Return a run of a home, which no trainer trains."""
    paths = RunPaths(home / "runs" / name)
    for folder in (paths.inbox, paths.checkpoints):
        folder.mkdir(parents=True)
    spec = catalog.new_spec(settings.pop("task", "digits"), **settings)
    paths.write_spec(spec)
    return RecordedRun(paths.record, spec)


class RecordedRun:
    """Writes what the test tells it to, as a trainer would, and reads it as a screen does."""

    def __init__(self, path: Path, spec: RunSpec | None = None) -> None:
        self.spec = spec or catalog.new_spec("digits")
        self.reader = RunReader(path)
        self._path = path
        self._writer = RunWriter(path)
        self._take, self._step = 1, 0
        self._saved: dict[tuple[int, int], str] = {}
        self.loss = self.spec.loss
        begun = started(self.spec.task)
        self.records(replace(begun, steps_per_epoch=STEPS, settings=self._settings()))

    def close(self) -> None:
        self._writer.close()

    def records(self, *events: Event) -> None:
        self._writer.write(
            [], [Stamped(1_800_000_000.0, 10 * self._step, event) for event in events]
        )

    def trains(self, epochs: int, way: Way = decay, **validation: object) -> None:
        """Train and validate so many epochs; `validation`: fields of their ends."""
        for _ in range(epochs):
            steps = range(self._step + 1, self._step + STEPS + 1)
            self._step += STEPS
            epoch = self._step // STEPS
            rows = [BatchRow(key_of(self._take, step), epoch, way(step), 0.001, 64, 10 * step,
                             *[1] * 6) for step in steps]  # fmt: skip
            self._writer.write(rows, [])
            self.records(replace(self._ended(epoch, way(self._step)), **validation))

    def _saves(self) -> None:
        """Save the present, as is done before every change."""
        step, take = self._step, self._take
        file = f"{len(self._saved) + 1:05d}-take{take}-step{step}.pt"
        self._saved.setdefault((take, step), file)
        self.records(
            CheckpointSaved(take, step, step // STEPS, "before a change", file, 1, "00", "00")
        )

    def swaps(self, loss: str, command: str = "w") -> None:
        epoch = self._step // STEPS
        self._saves()
        self.records(CommandAccepted(command, "loss", loss, "epoch", 0.0))
        self.records(LossSwapped(command, self._take, self._step, epoch, loss, self.loss))
        self.loss = loss

    def goes_back(
        self, epoch: int, loss: str, *, origin_take: int = 1, why: str = "undo", **more: str
    ) -> None:
        """Undo to the end of that epoch, or roll back."""
        left_at, self._step = self._step, STEPS * epoch
        self._take, self.loss = self._take + 1, loss
        unsaved = f"99999-take{origin_take}-step{self._step}.pt"
        origin = self._saved.get((origin_take, self._step), unsaved)
        self.records(
            TakeOpened(None, self._take, self._step, epoch, why, origin, origin_take,
                       self._settings(), STEPS, left_at, **more)
        )  # fmt: skip

    def changes(self, setting: Setting, value: float | str | None, command: str) -> None:
        epoch = self._step // STEPS
        self.records(
            CommandAccepted(command, setting, Change(setting, value).detail, "batch", 0.0),
        )
        self._saves()
        self.records(
            SettingChanged(command, self._take, self._step, epoch, setting, value, None, STEPS),
        )

    def measures(self, series: Series, way: Way, *, every: int = 1) -> None:
        """Record a value of a series for each `every`th step of the present take so far."""
        steps = range(every, self._step + 1, every)
        rows = [MeasuredRow(key_of(self._take, step), series, way(step)) for step in steps]
        self._writer.write([], [], rows)

    def details(self, name: str, body: Mapping[str, Any]) -> None:
        """Record a detail of the newest step."""
        self._writer.write([], [], [], [Detail(self._take, self._step, name, body)])

    def finishes(self) -> None:
        self.records(Finished(self._take, self._step, self._step // STEPS))
        self.close()

    def now(self) -> Snapshot:
        directory = self._path.parent
        begun = Snapshot.begin(directory.name, directory, self.spec, 0.0)
        return fold(begun, self.reader.since(Cursor()), alive=True)

    def _settings(self) -> Mapping[str, object]:
        spec = self.spec
        weight_decay = 0.01 if spec.optimizer == "adamw" else 0.0
        return {"loss": self.loss, "lr": spec.lr, "weight-decay": weight_decay, "clip-norm": None,
                "batch-size": spec.batch_size, "epochs": spec.epochs, "pace": None}  # fmt: skip

    def _ended(self, epoch: int, loss: float) -> EpochEnded:
        kind = task_named(self.spec.task).kind
        metrics = {
            metric.name: 1 - loss / 3 if metric.sign > 0 else 60 * loss for metric in _METRICS[kind]
        }
        val_losses = {name: loss / at for at, name in enumerate(_LOSSES[kind], 1)}
        val_losses.setdefault(self.loss, loss)  # with its own parameters
        return EpochEnded(self._take, self._step, epoch, self.loss, loss, loss, metrics,
                          improved=True, val_losses=val_losses)  # fmt: skip
