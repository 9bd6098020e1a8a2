"""Replays and forks through the real command line and real trainers."""

import json
from pathlib import Path

import pytest

from tests.conftest import Shell, until
from tuitrain.trainer import supervisor


@pytest.fixture
def tuitrain(threaded: Shell) -> Shell:
    """Only what is killed needs a trainer in a process of its own."""
    return threaded


@pytest.fixture
def steered(tuitrain: Shell) -> dict:
    """A run whose rate and loss were changed by hand, and one change of which was undone."""
    tuitrain.copy_of("steered", steer, "a")
    return tuitrain.show("a")


def steer(tuitrain: Shell) -> None:
    tuitrain.start("a", "--epochs", "4", "--paused")
    for command in (
        ("step", "10"),
        ("lr", "0.003"),
        ("step", "20"),
        ("loss", "mse", "--at", "batch"),
        ("step", "5"),
        ("undo",),
        ("loss", "l1"),
        ("clip-norm", "0.5"),
        ("resume",),
    ):
        tuitrain("ctl", "a", *command)
    tuitrain.ended("a")


def ids(run: dict) -> dict[str, str]:
    return {
        f"{intervention['kind']} {intervention['detail']}".strip(): intervention["id"]
        for intervention in run["interventions"]
    }


def test_a_replay_ends_with_the_same_weights_and_says_so(tuitrain: Shell, steered: dict):
    said = tuitrain("replay", "a", "--plain").stdout
    again = tuitrain.show("a-replay")

    assert "the same weights as a, to the last bit" in said
    assert again["weights_sha256"] == steered["weights_sha256"]
    assert [intervention["kind"] for intervention in again["interventions"]] == [
        "lr",
        "clip-norm",
        "loss",
    ]
    assert {intervention["state"] for intervention in again["interventions"]} == {"applied"}

    tuitrain("replay", "a", "--plain", "--name", "b", "--without", ids(steered)["clip-norm 0.5"])
    assert tuitrain.show("b")["weights_sha256"] != steered["weights_sha256"]
    tuitrain("replay", "a", "--plain", "--name", "c", "--until", "50")
    assert (tuitrain.show("c")["step"], tuitrain.show("c")["state"]) == (50, "finished")


def test_what_is_not_on_the_lineage_is_refused(tuitrain: Shell, steered: dict):
    undone = ids(steered)["loss mse"]
    assert "no change on its lineage" in tuitrain("replay", "a", "--without", undone, code=3).stderr
    assert "step 93 is not on" in tuitrain("replay", "a", "--until", "93", code=3).stderr
    assert "kept are the epochs 0, " in tuitrain("fork", "a", "--epoch", "3", code=3).stderr
    assert "--epochs" in tuitrain("fork", "a", "--epoch", "4", code=3).stderr
    misspelt = tuitrain("fork", "a", "--epoch", "beast", code=2).stderr
    assert "the number of a completed one, or best, not 'beast'" in misspelt
    message = tuitrain("fork", "a", "--epoch", "0", "--model", "linear", code=2).stderr
    assert "its --model stays mlp" in message
    assert [load["name"] for load in json.loads(tuitrain("ls", "--json").stdout)] == ["a"]


def test_a_replay_as_a_file_trains_the_same(tuitrain: Shell, steered: dict, tmp_path: Path):
    file = tmp_path / "a.toml"
    tuitrain("replay", "a", "--as-config", str(file))
    tuitrain("run", "--config", str(file), "--plain", "--name", "b")

    assert tuitrain.show("b")["weights_sha256"] == steered["weights_sha256"]
    assert "is there already" in tuitrain("replay", "a", "--as-config", str(file), code=2).stderr


def test_a_fork_goes_on_from_its_parents_checkpoint(tuitrain: Shell, steered: dict):
    tuitrain("fork", "a", "--epoch", "4", "--epochs", "6", "--loss", "mse", "--plain")
    child = tuitrain.show("a-fork")

    assert (child["epoch"], child["epochs"], child["loss"]) == (6, 6, "mse")
    assert child["lr"] == 0.003, "as the parent had it"
    assert child["checkpoints"][0]["step"] == steered["step"]
    assert child["step"] == 6 * steered["steps_per_epoch"]

    tuitrain("rm", "a", "--yes")  # a child no longer needs its parent
    tuitrain("replay", "a-fork", "--plain")
    assert tuitrain.show("a-fork-replay")["weights_sha256"] == child["weights_sha256"]


def test_a_fork_from_the_best_epoch_of_a_run_too_fast_for_checkpoints(
    tuitrain: Shell, tmp_path: Path
):
    tuitrain("run", "digits", "--patience", "3", "--plain", "--name", "a")
    run = tuitrain.show("a")
    assert run["epoch"] < 40, "it ended early"
    best = [checkpoint for checkpoint in run["checkpoints"] if checkpoint["why"] == "best"][-1]
    assert best["epoch"] == run["best"]["epoch"] < run["epoch"]

    message = tuitrain("fork", "a", "--epoch", "best", "--plain", "--epochs", "20").stderr
    assert f"from epoch {best['epoch']} of a, the best" in message
    assert tuitrain.show("a-fork")["checkpoints"][0]["step"] == best["step"]
    out = tmp_path / "best.pt"
    said = tuitrain("export", "a", "--format", "weights", "--which", "best", "--out", str(out))
    assert f"epoch {best['epoch']}, the best" in said.stdout


def test_a_fork_from_an_epoch_that_an_undo_abandoned_says_so(threaded: Shell):
    threaded.start("a", "--epochs", "8", "--paused")
    threaded("ctl", "a", "step", "30", "--wait")
    threaded("ctl", "a", "loss", "mse", "--at", "batch", "--wait")
    threaded("ctl", "a", "step", "62", "--wait")
    best = threaded.show("a")["best"]["epoch"]
    threaded("ctl", "a", "undo", "--wait")
    assert threaded.show("a")["best"]["epoch"] < best

    message = threaded("fork", "a", "--epoch", str(best), "--detach").stderr
    assert message == (
        f"goes on from epoch {best} of a, as take 1 trained it, which was abandoned\n"
    )
    threaded("ctl", "a", "stop")


def test_a_fork_that_changes_nothing_is_what_its_parent_became(tuitrain: Shell, steered: dict):
    swapped = next(
        intervention for intervention in steered["interventions"] if intervention["detail"] == "l1"
    )
    epoch = swapped["epoch"]
    assert swapped["step"] in [checkpoint["step"] for checkpoint in steered["checkpoints"]]
    assert swapped["step"] == epoch * steered["steps_per_epoch"], "it is between two epochs"
    tuitrain("fork", "a", "--epoch", str(epoch), "--loss", "l1", "--plain")

    assert tuitrain.show("a-fork")["weights_sha256"] == steered["weights_sha256"]


def test_a_fork_by_an_alias_or_with_another_schedule_keeps_the_optimizers_state(threaded: Shell):
    threaded("run", "digits", "--optimizer", "adam:schedule=cosine", "--epochs", "4",
             "--plain", "--name", "a")  # fmt: skip
    forks = {"same": ("adam:schedule=cosine",), "alias": ("Adam:schedule=cosine",),
             "constant": ("Adam",)}  # fmt: skip
    for name, optimizer in forks.items():
        said = threaded("fork", "a", "--epoch", "best", "--epochs", "6", "--name", name,
                        "--plain", "--optimizer", *optimizer).stdout  # fmt: skip
        assert "without the memory" not in said
    runs = {name: threaded.show(name) for name in forks}
    assert runs["same"]["weights_sha256"] == runs["alias"]["weights_sha256"]
    rates = {series["name"]: series for series in runs["constant"]["series"]}["lr"]
    assert rates["min"] == rates["max"] == 0.001, "not what the parent's schedule had come to"


def test_a_killed_fork_goes_on_to_the_same_weights(tuitrain: Shell, steered: dict):
    options = ("--epoch", "4", "--epochs", "8", "--detach")
    tuitrain.process("fork", "a", *options, "--name", "killed", "--pace", "10")
    until(lambda: tuitrain.show("killed")["step"] > steered["step"] + 3, "it trains")
    supervisor.kill(tuitrain.client("killed").paths)
    assert tuitrain.ended("killed")["state"] == "crashed"
    tuitrain("resume", "killed", "--detach")
    tuitrain("ctl", "killed", "pace", "off")
    killed = tuitrain.ended("killed")
    tuitrain("fork", "a", *options, "--name", "calm")

    assert killed["state"] == "finished"
    assert killed["weights_sha256"] == tuitrain.ended("calm")["weights_sha256"]


def test_what_breaks_exactness_is_said_at_a_resumption_and_at_a_replay(tuitrain: Shell):
    tuitrain.trained("a")
    tuitrain.env["OMP_NUM_THREADS"] = "2"
    said = "not the same to the last bit any more: threads was 1 and is 2"
    assert said in tuitrain.process("replay", "a", "--plain", code=None).stdout
    assert said in tuitrain.process("resume", "a", "--epochs", "3", "--plain").stdout
