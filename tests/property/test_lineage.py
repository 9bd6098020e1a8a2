"""What the screen shows is what an export writes is what the loop lived.

Runs are made by the engine under random commands, killed and resumed, and recorded as a trainer
records them. What was lived is kept beside: a history that goes back wherever the run does.
"""

import os
import tempfile
from itertools import chain, pairwise
from pathlib import Path

from hypothesis import given, note, settings
from hypothesis import strategies as st

from tests.property.test_resume import CHANGES, HOLDS, LAST, SPEC, Life, Script
from tuitrain.connection.client import Client
from tuitrain.connection.follower import Follower, snapshot
from tuitrain.core.commands import Change, Request, Rollback, SwapLoss, Undo
from tuitrain.core.events import BatchDone, CheckpointSaved, EpochEnded, Fact, Measured, TakeOpened
from tuitrain.core.series import Series
from tuitrain.export.lineage import RunLineage
from tuitrain.record.recorder import Recorder
from tuitrain.store.epochs import PARTS, EpochValue
from tuitrain.store.paths import RunPaths
from tuitrain.store.writer import RunWriter
from tuitrain.view.chart.curves import Curves
from tuitrain.view.chart.live import rulers
from tuitrain.view.state.snapshot import Snapshot

COMMANDS = st.tuples(
    st.integers(0, LAST),
    CHANGES | HOLDS | st.builds(Rollback, st.sampled_from([None, 1, 2])),
    st.sampled_from([None, "batch", "epoch"]),
).map(lambda drawn: (drawn[0], Request.new(drawn[1], drawn[2])))


AGAIN = Series("loss-again")
"""The loss of each batch, recorded as a series."""


class RecordedLife(Life):
    """A life whose trainers write a record, and what it lived so far."""

    def __init__(self, paths: RunPaths, commands) -> None:
        super().__init__(paths.checkpoints, Script(commands))
        paths.write_spec(SPEC)
        self.writer = RunWriter(paths.record)
        self.recorder = Recorder(self.writer)
        self.follower = Follower(Client(paths.directory))
        self.batches: list[tuple[int, float, str]] = []
        self.epochs: list[EpochEnded] = []
        self._at_checkpoints: dict[str, tuple[list, list]] = {"": ([], [])}

    def _record(self, event) -> None:
        super()._record(event)
        match event:
            case BatchDone():
                lived = (event.step, float(event.loss), self.script.run.loss_name)
                self.batches = [*self.batches, lived]
            case EpochEnded():
                self.epochs = [*self.epochs, event]
            case CheckpointSaved(file=file, step=step, epoch=epoch):  # a best epoch's comes later
                self._at_checkpoints[file] = (
                    [batch for batch in self.batches if batch[0] <= step],
                    [ended for ended in self.epochs if ended.epoch <= epoch],
                )
            case TakeOpened(origin=file):
                self.batches, self.epochs = self._at_checkpoints[file]
        self.recorder.take(event)
        if isinstance(event, BatchDone):
            self.recorder.take(Measured(event.take, event.step, {AGAIN: event.loss}))
        if not isinstance(event, Fact):
            self.recorder.flush()
            self.check_followed()

    def check_followed(self) -> None:
        now = self.follower.look()
        assert list(now.epochs) == self.epochs
        assert now.best == next((epoch for epoch in reversed(self.epochs) if epoch.improved), None)
        assert (now.step, now.epoch) == self.place()
        self.check_series(now)

    def check_series(self, now: Snapshot) -> None:
        losses = [loss for _, loss, _ in self.batches]
        told = [(one.last, one.low, one.high) for one in now.series if one.series == AGAIN]
        assert told == ([(losses[-1], min(losses), max(losses))] if losses else [])

    def place(self) -> tuple[int, int]:
        step = self.batches[-1][0] if self.batches else 0
        return step, self.epochs[-1].epoch if self.epochs else 0


def check_shown_exported_lived(paths: RunPaths, life: RecordedLife) -> None:
    now, reader = snapshot(Client(paths.directory)), Client(paths.directory)
    assert list(now.epochs) == life.epochs
    assert (now.step, now.epoch) == life.place()
    assert now.best == life.follower.run.best
    assert now.segments == life.follower.run.segments
    assert now.series == life.follower.run.series
    life.check_series(now)

    line = RunLineage.read(paths)
    exported = [(batch.row.step, batch.row.loss, batch.loss_name) for batch in line.batches()]
    assert exported == life.batches
    assert [epoch.ended for epoch in line.epochs()] == life.epochs
    lived = [(step, loss) for step, loss, _ in life.batches]
    assert [(item.step, item.value) for item in line.measured() if item.series == AGAIN] == lived

    curves = Curves(reader.record)
    drawn = [item for item in curves.losses(now, columns=4 * LAST) if not item.is_abandoned]
    points = [(bucket.first, bucket.low, item.loss_name) for item in drawn
              for bucket in item.buckets]  # fmt: skip
    assert points == life.batches
    validations = [(*point, item.loss_name) for item in drawn for point in item.validations]
    assert validations == [(epoch.step, epoch.val_loss, epoch.loss_name) for epoch in life.epochs]
    *_, drawn_again = curves.series(now, AGAIN.name, columns=4 * LAST)
    assert list(drawn_again.points) == lived
    told = curves.validations(now, 4 * LAST).lineage
    for part in PARTS:
        by_name: dict[str, list[EpochValue]] = {}
        for epoch in life.epochs:
            for name, value in getattr(epoch, part).items():
                by_name.setdefault(name, []).append(EpochValue(epoch.step, epoch.epoch, value))
        assert told.get(part, {}) == by_name
    names = [item.loss_name for item in drawn]
    assert all(before != after for before, after in pairwise(names)), "no swap that was not"
    assert len(rulers(now)) == len(names) - 1 if names else not rulers(now)


def check(commands, kills) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = RunPaths(Path(folder) / "runs" / "a")
        paths.checkpoints.mkdir(parents=True)
        life = RecordedLife(paths, commands)
        for moments in chain(kills, [None]):
            if not life.ended:
                life.live(moments)
                life.recorder.flush()
                life.check_followed()
                check_shown_exported_lived(paths, life)
        life.writer.close()


@given(
    st.lists(COMMANDS, max_size=6, unique_by=lambda item: item[1].id),
    st.lists(st.integers(1, 40), max_size=2),
)
@settings(max_examples=int(os.environ.get("EXAMPLES", "8")))
def test_shown_is_exported_is_lived(commands, kills):
    note([(at, item.command, item.at) for at, item in commands])
    check(commands, kills)


def test_a_change_and_an_undo_before_a_validation_lose_no_epoch_and_no_loss():
    per_epoch = LAST // 3
    for change in (Change("lr", 0.01), SwapLoss("mse")):
        for later in (0, 2):
            commands = [(per_epoch, change), (per_epoch + later, Undo())]
            check([(at, Request.new(item, "batch")) for at, item in commands], [])


def test_an_undo_of_an_undo_and_a_rollback_to_the_start_are_told_alike():
    commands = [(3, SwapLoss("l1")), (8, Undo()), (9, Undo()), (10, Rollback(0)), (4, Undo())]
    check([(at, Request.new(item, "batch")) for at, item in commands], [14])
