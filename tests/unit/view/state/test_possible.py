"""Why an action is not for a watched script."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.recorded import started
from tuitrain.catalog import new_spec
from tuitrain.core.problem import Problem
from tuitrain.core.watched import command_of
from tuitrain.view.state.possible import why_not
from tuitrain.view.state.snapshot import DELETED, Snapshot

OURS = Snapshot.begin("a", Path("a"), new_spec("digits"), 0.0)
SCRIPT = replace(OURS, spec=replace(OURS.spec, watched=("train.py", "--lr", "1 0")))
TRAINS = replace(SCRIPT, started=replace(started(), optimizer="SGD"))
BY_HAND = replace(
    SCRIPT, started=replace(started(), optimizer="", problem=Problem(losses=("its own loss",)))
)


@pytest.mark.parametrize("setting", ["epochs", "batch-size", "schedule", "lr", "clip-norm"])
def test_every_setting_of_our_own_runs_can_be_changed(setting):
    assert why_not(OURS, "change", setting) is None
    assert why_not(OURS, "fork") is None


@pytest.mark.parametrize("setting", ["epochs", "batch-size", "schedule"])
def test_what_the_script_decides_is_left_to_it(setting):
    assert "script" in why_not(TRAINS, "change", setting)


@pytest.mark.parametrize("setting", ["epochs", "batch-size", "schedule"])
def test_of_a_script_that_has_ended_no_key_is_said_to_do_instead(setting):
    ended = replace(TRAINS, state="finished")
    assert why_not(ended, "change", setting).startswith("The script ")
    assert ";" not in why_not(ended, "change", setting)


def test_only_the_loop_of_our_own_runs_can_be_swept():
    assert why_not(OURS, "lr_find") is None
    assert "next batches" in why_not(TRAINS, "lr_find")


@pytest.mark.parametrize(("action", "setting"), [("losses", ""), ("change", "lr")])
def test_what_depends_on_the_first_step_waits_for_it(action, setting):
    assert "first step" in why_not(SCRIPT, action, setting)
    assert why_not(TRAINS, action, setting) is None
    assert "first step" not in why_not(BY_HAND, action, setting)


@pytest.mark.parametrize("action", ["fork", "resume"])
def test_what_cannot_be_done_names_the_command_that_can(action):
    assert why_not(TRAINS, action).endswith("tuitrain watch train.py --lr '1 0'")


@pytest.mark.parametrize("run", [OURS, TRAINS])
def test_a_deleted_run_is_neither_forked_nor_resumed(run):
    gone = replace(run, state="crashed", error=DELETED)
    assert why_not(gone, "fork") == why_not(gone, "resume")
    assert "was deleted" in why_not(gone, "fork")


def test_a_run_is_resumed_once_it_has_ended():
    assert "has not ended" in why_not(OURS, "resume")
    for state in ("finished", "stopped", "failed", "crashed"):
        assert why_not(replace(OURS, state=state), "resume") is None


def test_what_steers_any_run_steers_a_script():
    for action in ("pause", "step", "undo", "stop", "checkpoint", "slower"):
        assert why_not(TRAINS, action) is None


@pytest.mark.parametrize(("watched", "settings", "command"), [
    (("resnet",), {}, ""),
    (("-m", "package.train"), {}, "tuitrain watch -m package.train"),
    (("./train", "a;b"), {}, "tuitrain watch ./train 'a;b'"),
    (("train.py",), {"nproc": 2}, "tuitrain watch --nproc 2 train.py"),
    (("train.py",), {"nproc": None}, "tuitrain watch --nproc auto train.py"),
    (("train.py",), {"in_torchrun": True}, "torchrun ... -m tuitrain watch train.py"),
])  # fmt: skip
def test_a_script_is_started_again_by_the_command_that_started_it(watched, settings, command):
    assert command_of(replace(OURS.spec, watched=watched, **settings)) == command


def test_a_loop_in_a_program_has_no_command():
    program = replace(TRAINS, spec=replace(TRAINS.spec, watched=("resnet",)))
    assert why_not(program, "fork").endswith("start the program with its loop again")
