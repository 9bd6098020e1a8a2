"""Runs that end in every possible way, and resume as if nothing had happened."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.conftest import Shell, until

DIGITS = ("--seed", "1", "--epochs", "12")


@pytest.fixture
def tuitrain(threaded: Shell) -> Shell:
    """Only what a signal ends needs a trainer in a process of its own."""
    return threaded


def undisturbed(tuitrain: Shell) -> str:
    tuitrain.trained("undisturbed", *DIGITS)
    return tuitrain.show("undisturbed")["weights_sha256"]


def beyond(tuitrain: Shell, name: str, step: int) -> None:
    until(lambda: tuitrain.show(name)["step"] >= step, f"{name} has trained {step} steps")


def test_a_stopped_run_goes_on_in_the_same_take_to_the_same_weights(tuitrain: Shell):
    tuitrain.start("a", *DIGITS, "--paused")
    tuitrain("ctl", "a", "step", "30")
    tuitrain("ctl", "a", "pace", "40")  # its end is six seconds away
    tuitrain("ctl", "a", "resume")
    beyond(tuitrain, "a", 32)
    tuitrain("ctl", "a", "stop")
    stopped = tuitrain.ended("a")
    assert stopped["step"] % stopped["steps_per_epoch"], "in the middle of an epoch"
    tuitrain("ctl", "a", "pace", "off", code=3)
    said = tuitrain("resume", "a", "--plain").stdout

    shown = tuitrain.show("a")
    assert (stopped["state"], shown["state"], shown["take"]) == ("stopped", "finished", 1)
    assert f"epoch {stopped['epoch']}/12" not in said, "what was said before is left out"
    assert shown["weights_sha256"] == undisturbed(tuitrain)


def calm(tuitrain: Shell) -> None:
    with_changes(tuitrain, "calm")
    tuitrain("ctl", "calm", "resume")
    tuitrain.ended("calm")


def with_changes(tuitrain: Shell, name: str) -> None:
    """Start a run, and change it by hand at the steps 30 and 80; it is paused then."""
    tuitrain.process("run", "digits", *DIGITS, "--paused", "--detach", "--name", name)
    until(lambda: tuitrain.show(name)["state"] == "paused", "it waits")
    tuitrain("ctl", name, "step", "30")
    tuitrain("ctl", name, "lr", "0.003", "--wait")
    tuitrain("ctl", name, "loss", "mse")  # waits for the end of the epoch
    tuitrain("ctl", name, "step", "50")
    tuitrain("ctl", name, "clip-norm", "0.5", "--wait")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_with_changes_goes_on_to_the_same_weights(tuitrain: Shell, number: int):
    run = tuitrain.client("a")
    with_changes(tuitrain, "a")
    tuitrain("ctl", "a", "pace", "5", "--wait")  # its end is far, however slow this machine
    tuitrain("ctl", "a", "resume")
    beyond(tuitrain, "a", 83)
    os.kill(run.look(run.record.end()).pid, number)
    state = tuitrain.ended("a")["state"]
    assert state == ("crashed" if number == signal.SIGKILL else "stopped")
    tuitrain("resume", "a", "--detach")
    tuitrain("ctl", "a", "pace", "off")

    shown = tuitrain.ended("a")
    tuitrain.copy_of("calm", calm, "calm")
    assert shown["weights_sha256"] == tuitrain.show("calm")["weights_sha256"]
    assert shown["take"] == (2 if number == signal.SIGKILL else 1)
    assert (shown["loss"], shown["lr"]) == ("mse", 0.003)
    assert [
        intervention["state"]
        for intervention in shown["interventions"]
        if intervention["kind"] == "loss"
    ] == ["applied"]


def test_a_damaged_checkpoint_is_recognised_and_the_one_before_taken(tuitrain: Shell):
    run = tuitrain.halted("a")
    newest = tuitrain.show("a")["checkpoints"][-1]
    damaged = run.paths.checkpoints / newest["file"]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    (run.paths.checkpoints / ".00009-take1-step9.pt.beef.tmp").write_bytes(b"half")

    tuitrain("resume", "a", "--plain")

    shown = tuitrain.show("a")
    assert (shown["state"], shown["take"]) == ("finished", 2)
    assert shown["weights_sha256"] == undisturbed(tuitrain)
    assert newest["file"] not in [checkpoint["file"] for checkpoint in shown["checkpoints"]]
    assert not list(run.paths.checkpoints.glob(".*.tmp"))


def test_a_run_whose_every_checkpoint_is_lost_begins_anew(tuitrain: Shell):
    run = tuitrain.halted("a")
    for file in run.paths.checkpoints.iterdir():
        file.write_bytes(b"")

    tuitrain("resume", "a", "--plain")

    assert tuitrain.show("a")["weights_sha256"] == undisturbed(tuitrain)


def after_steps(tuitrain: Shell, steps: str) -> dict:
    """Train so many batches and return the run as it is saved then."""
    tuitrain("ctl", "a", "step", steps)
    until(lambda: tuitrain.show("a")["state"] == "paused", "it is paused again")
    return tuitrain.show("a")


def test_undo_returns_the_very_weights_and_so_does_its_undo(tuitrain: Shell):
    tuitrain.start("a", *DIGITS, "--paused")
    before = after_steps(tuitrain, "30")
    tuitrain("ctl", "a", "loss", "l1", "--at", "batch", "--wait")
    ruined = after_steps(tuitrain, "20")
    tuitrain("ctl", "a", "undo", "--wait")
    tuitrain("ctl", "a", "checkpoint", "--wait")
    undone = tuitrain.show("a")
    tuitrain("ctl", "a", "undo", "--wait")
    tuitrain("ctl", "a", "checkpoint", "--wait")
    again = tuitrain.show("a")

    assert undone["weights_sha256"] == before["weights_sha256"] != ruined["weights_sha256"]
    assert (undone["step"], undone["loss"], undone["take"]) == (30, "cross-entropy", 2)
    assert undone["interventions"][1]["state"] == "undone"
    assert again["weights_sha256"] == ruined["weights_sha256"]
    assert (again["step"], again["loss"], again["take"]) == (50, "l1", 3)
    assert [change["state"] for change in again["interventions"] if change["kind"] != "step"] == [
        "applied",
        "undone",
        "applied",
        "applied",
        "applied",
    ]
    tuitrain("ctl", "a", "stop")
    tuitrain.ended("a")


def test_a_rollback_keeps_the_settings_of_now(tuitrain: Shell):
    tuitrain.start("a", *DIGITS, "--paused")
    start = tuitrain.show("a")["weights_sha256"]
    tuitrain("ctl", "a", "step", "30")
    tuitrain("ctl", "a", "lr", "0.01", "--wait")
    assert "kept are the epochs 0" in tuitrain("ctl", "a", "rollback", "9", code=3).stderr
    tuitrain("ctl", "a", "rollback", "0", "--wait")
    tuitrain("ctl", "a", "checkpoint", "--wait")

    shown = tuitrain.show("a")
    assert (shown["step"], shown["lr"], shown["take"]) == (0, 0.01, 2)
    assert shown["weights_sha256"] == start
    tuitrain("ctl", "a", "stop")
    tuitrain.ended("a")


def test_numbers_that_are_not_finite_pause_the_run_and_it_can_be_saved(tuitrain: Shell):
    tuitrain(
        "run", "diabetes", "--optimizer", "sgd", "--lr", "1e12", "--detach", "--name", "a",
        "--epochs", "30",
    )  # fmt: skip
    until(lambda: tuitrain.show("a")["state"] == "paused", "it pauses by itself")
    paused = tuitrain.show("a")
    assert paused["step"] < 10
    tuitrain("ctl", "a", "lr", "0.01", "--wait")
    tuitrain("ctl", "a", "rollback", "--wait")
    tuitrain("ctl", "a", "resume")

    shown = tuitrain.ended("a")
    assert shown["state"] == "finished"
    assert shown["metrics"]["r2"] > 0.3


DIVERGING = (
    "run", "diabetes", "--optimizer", "sgd", "--lr", "1e12", "--epochs", "2", "--name", "a"
)  # fmt: skip


def test_bad_numbers_can_be_skipped(tuitrain: Shell):
    tuitrain(*DIVERGING, "--plain", "--on-nonfinite", "skip")
    assert tuitrain.show("a")["state"] == "finished"
    assert "NaN" not in (tuitrain.home / "runs" / "a" / "spec.json").read_text()


def test_bad_numbers_can_fail_the_run_which_can_be_resumed(tuitrain: Shell):
    done = tuitrain(*DIVERGING, "--plain", "--on-nonfinite", "stop", code=1)
    failed = tuitrain.show("a")
    assert failed["state"] == "failed"
    assert f"not finite at step {failed['step']}," in failed["error"]
    for said in (done.stderr, tuitrain("show", "a").stdout):
        assert f"not finite at step {failed['step']}," in said
        assert "tuitrain resume a goes on from its last good checkpoint" in said
    assert "failed" in tuitrain("ls").stdout

    tuitrain("resume", "a", "--plain", code=None)
    assert tuitrain.show("a")["step"] > failed["step"]


def test_a_live_run_and_a_finished_one_are_not_resumed(tuitrain: Shell):
    tuitrain.trained("done")
    assert "--epochs 4" in tuitrain("resume", "done", code=3).stderr
    assert "--epochs 4" in tuitrain("resume", "done", "--epochs", "2", code=3).stderr
    tuitrain.start("live", "--epochs", "5000", "--pace", "50")
    assert "attach live" in tuitrain("resume", "live", code=3).stderr
    tuitrain("resume", "live", "--epochs", "0", code=2)
    assert tuitrain.show("live")["state"] == "running"


def test_more_epochs_train_on_as_if_they_had_been_planned(tuitrain: Shell):
    tuitrain.trained("a")
    tuitrain("resume", "a", "--epochs", "12", "--plain")

    assert tuitrain.show("a")["weights_sha256"] == undisturbed(tuitrain)
    assert tuitrain.show("a")["epochs"] == 12


def test_patience_ends_a_run_early(tuitrain: Shell):
    said = tuitrain(
        "run", "digits", "--lr", "0.05", "--epochs", "500", "--patience", "2", "--plain",
        "--name", "a",
    ).stdout  # fmt: skip

    shown = tuitrain.show("a")
    assert shown["state"] == "finished"
    assert 2 < shown["epoch"] < 500
    assert "no better accuracy for 2 epochs" in said


def test_a_run_begins_with_the_weights_of_another_run_or_file(tuitrain: Shell):
    tuitrain.trained("first")
    weights = tuitrain.show("first")["weights_sha256"]
    file = (
        tuitrain.home / "runs/first/checkpoints" / tuitrain.show("first")["checkpoints"][-1]["file"]
    )
    for name, source in (("by-run", "first"), ("by-file", str(file))):
        tuitrain.start(name, "--init-from", source, "--paused")
        assert tuitrain.show(name)["weights_sha256"] == weights
        tuitrain("ctl", name, "stop")
        tuitrain.ended(name)

    file.unlink()
    for path in tuitrain.client("by-run").paths.checkpoints.iterdir():
        path.write_bytes(b"")  # so that it begins anew, with the copy that it kept
    (tuitrain.home / "runs/by-file").rename(tuitrain.home / "runs/moved")
    (copy,) = tuitrain.client("moved").paths.directory.glob("init-*.pt")
    assert copy.stat().st_mode & 0o777 == 0o600
    for name in ("by-run", "moved"):
        tuitrain("resume", name, "--epochs", "2", "--plain")
    assert tuitrain.show("by-run")["weights_sha256"] == tuitrain.show("moved")["weights_sha256"]

    tuitrain("resume", "first", "--epochs", "4", "--plain")
    other = tuitrain(
        "run", "digits", "--model", "linear", "--init-from", "first", "--plain", code=3
    )
    assert "do not fit the model" in other.stderr
    tuitrain("run", "digits", "--init-from", "nobody", "--plain", code=2)


def test_a_config_file_has_the_options_and_the_command_line_wins(tuitrain: Shell, tmp_path: Path):
    config = tmp_path / "a.toml"
    config.write_text(
        'task = "diabetes"\nlr = 0.01\nbatch-size = 32\nepochs = 3\nname = "from-file"\n'
        'optimizer = "sgd:momentum=0.9"\npace = "off"\n'
    )
    tuitrain("run", "--config", str(config), "--epochs", "2", "--plain")

    shown = tuitrain.show("from-file")
    assert (shown["task"], shown["lr"], shown["batch_size"]) == ("diabetes", 0.01, 32)
    assert (shown["epochs"], shown["optimizer"]) == (2, "sgd:momentum=0.9")
    config.write_text("learning-rate = 1\n")
    assert "learning-rate" in tuitrain("run", "--config", str(config), code=2).stderr
    config.write_text("lr = = 1\n")
    assert "cannot read" in tuitrain("run", "--config", str(config), code=2).stderr
    tuitrain("run", "--config", "nowhere.toml", code=2)
    assert [load["name"] for load in json.loads(tuitrain("ls", "--json").stdout)] == ["from-file"]
