"""Which checkpoints are saved, found again and deleted."""

import threading
from collections.abc import Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
import torch

from tuitrain.catalog import new_spec
from tuitrain.core.commands import Change, Request, Rollback, Undo
from tuitrain.core.errors import CannotSave, Damaged
from tuitrain.core.events import (
    BatchDone,
    CheckpointGone,
    CheckpointSaved,
    CommandDropped,
    CommandRefused,
    EpochEnded,
    Event,
    Finished,
    LossSwapped,
    SettingChanged,
    TakeOpened,
    Warned,
)
from tuitrain.engine.build import build
from tuitrain.engine.loop import train
from tuitrain.engine.state.checkpoint import Checkpoints
from tuitrain.engine.state.checkpoint_file import write
from tuitrain.engine.state.moment import Moment
from tuitrain.engine.state.weights import state_sha256, weights_sha256
from tuitrain.engine.steering import Steering
from tuitrain.engine.training import Training


def small() -> Training:
    return build(new_spec("digits", model="linear", batch_size=512, epochs=8))


def saved_in(events: Iterable[Event]) -> list[CheckpointSaved]:
    return [event for event in events if isinstance(event, CheckpointSaved)]


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_last_three_the_best_the_first_and_those_before_changes_are_kept(tmp_path: Path):
    run, checkpoints = small(), Checkpoints(tmp_path)
    recorded = []
    for step, (why, is_needed) in enumerate(
        [("start", False), ("epoch", False), ("before lr", True), ("best", False)]
        + [("epoch", False)] * 6
    ):
        run.step = step
        recorded += checkpoints.save(run, why, is_needed=is_needed)

    kept = {int(name.split("step")[1][:-3]) for name in files(tmp_path)}
    assert kept == {0, 2, 3, 7, 8, 9}
    gone = {item.file for item in recorded if isinstance(item, CheckpointGone)}
    saved = {item.file for item in recorded if isinstance(item, CheckpointSaved)}
    assert saved - gone == files(tmp_path) == {item.file for item in checkpoints.kept}


def test_whoever_comes_after_knows_the_same_from_the_events(tmp_path: Path):
    run, checkpoints = small(), Checkpoints(tmp_path)
    past = [*checkpoints.save(run, "start"), *checkpoints.save(run, "before loss", command="x")]
    past.append(LossSwapped("w", 1, 0, 0, "mse", "cross-entropy"))
    after = Checkpoints(tmp_path, past)

    assert after.kept == checkpoints.kept
    for step in range(1, 6):
        run.step = step
        list(after.save(run, "epoch"))
    assert past[1].file in files(tmp_path), "it is from before a change"


def test_the_same_present_is_not_saved_twice(tmp_path: Path):
    run, checkpoints = small(), Checkpoints(tmp_path)
    assert len(list(checkpoints.save(run, "pause"))) == 1
    assert list(checkpoints.save(run, "before lr", is_needed=True)) == []
    run.change("lr", 0.1)
    assert len(list(checkpoints.save(run, "before loss"))) == 1


def test_it_is_not_saved_twice_either_where_older_ones_are_deleted(tmp_path: Path):
    run, checkpoints = small(), Checkpoints(tmp_path)
    for run.step in range(8):
        assert saved_in(checkpoints.save(run, "pause"))
        assert list(checkpoints.save(run, "pause")) == []


def test_a_present_whose_checkpoint_was_found_damaged_is_saved_again(tmp_path: Path):
    run, checkpoints = small(), Checkpoints(tmp_path)
    (saved,) = checkpoints.save(run, "pause")
    checkpoints.lose(saved.file)
    assert saved_in(checkpoints.save(run, "pause"))


def test_epochs_are_saved_as_often_as_one_part_in_a_hundred_allows(tmp_path: Path):
    run, now = small(), [0.0]

    def clock() -> float:
        now[0] += 1.0  # so each save takes a second
        return now[0]

    checkpoints = Checkpoints(tmp_path, clock=clock)
    steering = Steering(run, checkpoints=checkpoints)
    saved = [event for event in train(run, steering) if isinstance(event, CheckpointSaved)]
    assert [(item.why, item.epoch) for item in saved] == [("best", 1), ("best", 8)], (
        "the next would be 100 s later, but for the best at the end, which is the end"
    )


@pytest.mark.parametrize("harm", ["flipped", "cut", "gone"])
def test_a_damaged_checkpoint_is_not_loaded(tmp_path: Path, harm: str):
    run, checkpoints = small(), Checkpoints(tmp_path)
    (saved,) = checkpoints.save(run, "start")
    path = tmp_path / saved.file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content if harm == "flipped" else content[:100])
    if harm == "gone":
        path.unlink()

    with pytest.raises(Damaged, match=saved.file):
        checkpoints.load(saved.file)


def test_what_cannot_be_saved_leaves_the_rest_as_it_was(tmp_path: Path):
    (tmp_path / "a file").touch()
    run, checkpoints = small(), Checkpoints(tmp_path / "a file")
    with pytest.raises(CannotSave, match="cannot save a checkpoint"):
        list(checkpoints.save(run, "start"))
    assert checkpoints.kept == ()


def test_a_checkpoint_is_the_run_to_the_last_bit(tmp_path: Path):
    def end_of(run: Training) -> list:
        ends = [event for event in train(run, Steering(run)) if isinstance(event, EpochEnded)]
        return [(end.epoch, end.train_loss, end.val_loss) for end in ends]

    run, checkpoints = small(), Checkpoints(tmp_path)
    events = train(run, Steering(run))
    for _ in range(5):
        next(events)
    (saved,) = checkpoints.save(run, "pause")
    torch.rand(10)
    again = small()
    again.restore(checkpoints.load(saved.file))

    assert end_of(again) == end_of(run)


class Clock:
    """Stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_best_of_epochs_that_are_too_short_to_be_saved_is_there_at_the_end(tmp_path: Path):
    run, checkpoints = small(), Checkpoints(tmp_path, clock=Clock())
    events = [*checkpoints.save(run, "start"), *train(run, Steering(run, checkpoints=checkpoints))]

    best = [event for event in events if isinstance(event, EpochEnded) and event.improved]
    assert len(best) > 1
    saved = [event for event in saved_in(events) if event.why == "best"]
    assert [item.epoch for item in saved] == [best[-1].epoch], "only the last of them"
    assert isinstance(events[-1], Finished)


def test_it_is_what_the_run_was_at_the_end_of_that_epoch(tmp_path: Path):
    run, clock = small(), Clock()
    checkpoints = Checkpoints(tmp_path, clock=clock)
    list(checkpoints.save(run, "start"))
    weights: dict[int, str] = {}
    best = 0
    for event in train(run, Steering(run, checkpoints=checkpoints)):
        if isinstance(event, EpochEnded):
            best = event.epoch if event.improved else best
            weights[event.epoch] = state_sha256(run.model.state_dict())
            clock.now += 0.9
        if isinstance(event, CheckpointSaved) and event.why == "best":
            assert event.epoch == best
            assert event.weights_sha256 == weights[best]
            state = checkpoints.load(event.file)
            assert state_sha256(state["model"]) == weights[best]
            assert state["position"] == {"step": 3 * best, "epoch": best, "batch": 0}
            assert event.step < run.step or run.is_between_epochs


def test_a_run_that_fails_saves_its_best_epoch_first(tmp_path: Path):
    run, checkpoints = small(), Checkpoints(tmp_path, clock=Clock())
    recorded = list(checkpoints.save(run, "start"))
    events = train(run, Steering(run, checkpoints=checkpoints))
    recorded += [next(events) for _ in range(6)]
    run.criterion = lambda *_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        recorded += list(events)
    assert checkpoints.best is not None
    assert checkpoints.best.epoch == 1


def test_while_it_trains_it_is_saved_a_second_later(tmp_path: Path):
    run, clock = small(), Clock()
    checkpoints = Checkpoints(tmp_path, clock=clock)
    list(checkpoints.save(run, "start"))
    events = train(run, Steering(run, checkpoints=checkpoints))
    first = next(event for event in events if isinstance(event, EpochEnded))
    assert first.improved
    assert isinstance(next(events), BatchDone), "not at once"
    clock.now = 1.0
    saved = next(events)
    assert isinstance(saved, CheckpointSaved)
    assert (saved.why, saved.epoch, saved.step) == ("best", 1, 3)
    assert run.step == 4


def written_later(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, Executor]:
    """Return an executor whose first file waits for an event."""
    may_go_on = threading.Event()

    def slow(*what):
        assert may_go_on.wait(20)
        return write(*what)

    monkeypatch.setattr("tuitrain.engine.state.checkpoint.write", slow)
    return may_go_on, ThreadPoolExecutor(1)


def test_training_goes_on_while_another_thread_saves_and_what_follows_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    may_go_on, executor = written_later(monkeypatch)
    run, clock = small(), Clock()
    checkpoints = Checkpoints(tmp_path, clock=clock, executor=executor)
    clock.now = 1.0
    events = train(run, Steering(run, checkpoints=checkpoints))
    weights = {}
    told = []
    while run.epoch < 4:  # the first was the best and is being written
        told.append(next(events))
        weights[run.epoch] = weights.get(run.epoch) or weights_sha256(run.model)
    assert not saved_in(told)
    assert checkpoints.waiting
    may_go_on.set()
    told += checkpoints.save(run, "pause")

    saved = saved_in(told)
    assert saved[0].why == "best"
    assert [item.epoch for item in saved] == sorted(item.epoch for item in saved)
    assert {item.weights_sha256 for item in saved} <= set(weights.values())
    assert saved[0].weights_sha256 == weights[1], "and not of the batches since then"
    assert saved[-1].epoch == 4
    assert state_sha256(checkpoints.load(saved[0].file)["model"]) == weights[1]


def test_a_save_in_another_thread_that_fails_is_said_and_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    may_go_on, executor = written_later(monkeypatch)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    run, clock = small(), Clock()
    checkpoints = Checkpoints(folder, clock=clock, executor=executor)
    clock.now = 1.0
    events = train(run, Steering(run, checkpoints=checkpoints))
    told = []
    while run.step < 5:
        told.append(next(events))
    folder.rmdir()
    may_go_on.set()
    told += events

    texts = [event.text for event in told if isinstance(event, Warned)]
    assert any("cannot save a checkpoint" in text for text in texts)
    assert checkpoints.best is not None
    assert checkpoints.best.epoch == max(
        event.epoch for event in told if isinstance(event, EpochEnded) and event.improved
    )
    assert isinstance(told[-1], Finished)


def test_where_a_copy_does_not_fit_it_is_saved_at_once_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    memory = psutil.virtual_memory()._replace(available=1000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    run, checkpoints = small(), Checkpoints(tmp_path, clock=Clock())
    events = [*checkpoints.save(run, "start"), *train(run, Steering(run, checkpoints=checkpoints))]

    best = [event.epoch for event in events if isinstance(event, EpochEnded) and event.improved]
    assert [event.epoch for event in saved_in(events) if event.why == "best"] == best
    (warned,) = [event for event in events if isinstance(event, Warned)]
    assert "no memory for a copy of the best epoch" in warned.text


def test_a_copy_shares_nothing_with_the_run(tmp_path: Path):
    run = build(new_spec("digits", model="mlp:hidden=8,norm=batch", batch_size=512, epochs=2))
    list(train(run, Steering(run)))
    moment = Moment.of(run)
    copied = moment.copied()
    for item in (
        *run.model.state_dict().values(),
        *run.optimizer.state_dict()["state"][0].values(),
    ):
        item.zero_()
    again = build(new_spec("digits", model="mlp:hidden=8,norm=batch", batch_size=512, epochs=2))
    list(train(again, Steering(again)))
    assert state_sha256(copied.state["model"]) == state_sha256(again.model.state_dict())
    assert copied.state["model"]._metadata == moment.state["model"]._metadata
    (one, other) = (item.state["optimizer"]["state"][0] for item in (copied, Moment.of(again)))
    assert all(torch.equal(one[name], other[name]) for name in other)


def test_a_full_disk_is_said_and_the_best_epoch_waits_for_room(tmp_path: Path):
    run, clock = small(), Clock()
    folder = tmp_path / "checkpoints"
    folder.touch()  # so that nothing can be written there
    checkpoints = Checkpoints(folder, clock=clock)
    events = train(run, Steering(run, checkpoints=checkpoints))
    warned = next(event for event in events if isinstance(event, Warned))
    assert "cannot save a checkpoint" in warned.text
    folder.unlink()
    folder.mkdir()
    recorded = list(events)
    assert not [item for item in recorded if isinstance(item, Warned)], (
        "nor is it tried all the time"
    )
    assert checkpoints.best is not None
    assert checkpoints.best.epoch == run.epoch == 8


class Asking:
    """One command after each batch."""

    def __init__(self, *commands) -> None:
        self.commands = [Request.new(command) for command in commands]

    def __call__(self, wait_s):
        return [self.commands.pop(0)] if self.commands else []


def test_of_very_many_changes_the_newest_fifty_can_be_gone_back_to_and_that_is_said(
    tmp_path: Path,
):
    run = build(new_spec("digits", model="linear", batch_size=8, epochs=1))
    checkpoints = Checkpoints(tmp_path)
    asking = Asking(*(Change("lr", 0.001 + item * 1e-6) for item in range(120)), Undo())
    recorded = list(checkpoints.save(run, "start"))
    recorded += train(run, Steering(run, asking, checkpoints=checkpoints))

    assert sum(isinstance(item, SettingChanged) for item in recorded) == 120
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {item.file for item in checkpoints.kept}
    before = [item for item in checkpoints.kept if item.why.startswith("before")]
    assert [item.why for item in before] == [*["before lr"] * 49, "before undo"]
    assert all(one.step + 1 == other.step for one, other in pairwise(before))
    assert len(kept) <= 50 + 1 + 3 + len([item for item in checkpoints.kept if item.why == "best"])
    said = [item.text for item in recorded if isinstance(item, Warned)]
    assert said == [
        "the oldest checkpoints before changes are deleted: the newest 50 are kept, or 2 GiB of "
        "them"
    ]
    (undone,) = [item for item in recorded if isinstance(item, TakeOpened)]
    assert undone.settings["lr"] == pytest.approx(0.001 + 118 * 1e-6), "an undo works all the same"

    again = Checkpoints(tmp_path, [item for item in recorded if not isinstance(item, BatchDone)])
    assert again.kept == checkpoints.kept
    run.step += 1
    assert not [
        item for item in again.save(run, "before lr", is_needed=True) if item.kind == "warned"
    ]


def test_large_checkpoints_before_changes_are_bounded_by_their_bytes(tmp_path: Path):
    gone = "f" * 64
    past = [CheckpointSaved(1, 0, 0, "start", "00001-take1-step0.pt", 1 << 30, gone, gone)]
    for step in range(1, 9):
        name = f"{step + 1:05d}-take1-step{step}.pt"
        past.append(CheckpointSaved(1, step, 0, "before lr", name, 1 << 30, gone, gone))
        past.append(SettingChanged("w", 1, step, 0, "lr", 0.1, 0.2, 23))
    run, checkpoints = small(), Checkpoints(tmp_path, past)
    for run.step in (10, 11, 12):
        list(checkpoints.save(run, "pause"))
    assert [item.step for item in checkpoints.kept] == [0, 7, 8, 10, 11, 12]


def test_an_undo_without_its_checkpoint_is_refused_with_what_can_be_done(tmp_path: Path):
    run, checkpoints = small(), Checkpoints(tmp_path)
    asking = Asking(Change("lr", 0.1))
    steering = Steering(run, asking, checkpoints=checkpoints)
    events = train(run, steering)
    recorded = list(checkpoints.save(run, "start"))
    while not any(isinstance(item, SettingChanged) for item in recorded):
        recorded.append(next(events))
    (tmp_path / checkpoints.kept[-1].file).unlink()
    asking.commands = [Request.new(Undo()), Request.new(Undo())]
    recorded = list(events)
    (dropped,) = [item for item in recorded if isinstance(item, CommandDropped)]
    assert "cannot be read" in dropped.reason
    (refused,) = [item for item in recorded if isinstance(item, CommandRefused)]
    assert "rollback goes back to an epoch" in refused.reason


def test_a_rollback_to_the_best_finds_it_though_it_was_not_saved_yet(tmp_path: Path):
    run, checkpoints = small(), Checkpoints(tmp_path, clock=Clock())
    asking = Asking()
    events = train(run, Steering(run, asking, checkpoints=checkpoints))
    list(checkpoints.save(run, "start"))
    asking.commands = [Request.new(Rollback("best"))]
    refused = next(event for event in events if isinstance(event, CommandRefused))
    assert refused.reason == "the best epoch is not kept; kept are the epochs 0"

    next(event for event in events if isinstance(event, EpochEnded))
    asking.commands = [Request.new(Rollback("best")), Request.new(Rollback(1))]
    opened = [event for event in events if isinstance(event, TakeOpened)]
    assert [(item.step, item.epoch) for item in opened] == [(3, 1), (3, 1)]
