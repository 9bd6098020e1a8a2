"""Which checkpoints are saved, found again and deleted."""

from pathlib import Path

import pytest
import torch

from tuitrain.core.events import CheckpointGone, CheckpointSaved, EpochEnded, LossSwapped
from tuitrain.core.spec import RunSpec
from tuitrain.engine.checkpoint import CannotSave, Checkpoints, Damaged
from tuitrain.engine.loop import train
from tuitrain.engine.steering import Steering
from tuitrain.engine.training import Training, build


def small() -> Training:
    return build(RunSpec.of("digits", model="linear", batch_size=512, epochs=8))


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_last_three_the_best_the_first_and_those_before_changes_are_kept(tmp_path: Path):
    run, checkpoints = small(), Checkpoints(tmp_path)
    told = []
    for step, (why, is_needed) in enumerate(
        [("start", False), ("epoch", False), ("before lr", True), ("best", False)]
        + [("epoch", False)] * 6
    ):
        run.step = step
        told += checkpoints.save(run, why, is_needed=is_needed)

    kept = {int(name.split("step")[1][:-3]) for name in files(tmp_path)}
    assert kept == {0, 2, 3, 7, 8, 9}
    gone = {each.file for each in told if isinstance(each, CheckpointGone)}
    saved = {each.file for each in told if isinstance(each, CheckpointSaved)}
    assert saved - gone == files(tmp_path) == {each.file for each in checkpoints.kept}


def test_whoever_comes_after_knows_the_same_from_the_events(tmp_path: Path):
    run, checkpoints = small(), Checkpoints(tmp_path)
    past = [*checkpoints.save(run, "start"), *checkpoints.save(run, "before loss", wish="x")]
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


def test_epochs_are_saved_as_often_as_one_part_in_a_hundred_allows(tmp_path: Path):
    run, now = small(), [0.0]

    def clock() -> float:
        now[0] += 1.0  # so each save takes a second
        return now[0]

    checkpoints = Checkpoints(tmp_path, clock=clock)
    steering = Steering(run, checkpoints=checkpoints)
    saved = [each for each in train(run, steering) if isinstance(each, CheckpointSaved)]
    assert [each.why for each in saved] == ["best", "finish"], "the next would be 100 s later"


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
    run, checkpoints = small(), Checkpoints(tmp_path / "not there")
    with pytest.raises(CannotSave, match="cannot save a checkpoint"):
        list(checkpoints.save(run, "start"))
    assert checkpoints.kept == ()


def test_a_checkpoint_is_the_run_to_the_last_bit(tmp_path: Path):
    def end_of(run: Training) -> list:
        ends = [each for each in train(run, Steering(run)) if isinstance(each, EpochEnded)]
        return [(each.epoch, each.train_loss, each.val_loss) for each in ends]

    run, checkpoints = small(), Checkpoints(tmp_path)
    events = train(run, Steering(run))
    for _ in range(5):
        next(events)
    (saved,) = checkpoints.save(run, "pause")
    torch.rand(10)
    again = small()
    again.restore(checkpoints.load(saved.file))

    assert end_of(again) == end_of(run)
