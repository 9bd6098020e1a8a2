"""What is said before a run goes on, and the schedule with which it does."""

import math

import pytest

import tuitrain as package
from tests.conftest import Shell, until
from tuitrain.trainer import supervisor

COSINE = ("run", "digits", "--optimizer", "adam:schedule=cosine", "--epochs", "2", "--name", "a")


def rates(shell: Shell, name: str) -> dict[int, float]:
    """Return the learning rate of every step by its number; of a step trained twice, the last."""
    run = package.connect(name, home=shell.home)
    return {batch.step: batch.lr for batch in run.batches()}


def test_more_epochs_for_a_finished_cosine_say_the_jump_of_its_rate_first(threaded: Shell):
    threaded(*COSINE, "--plain")
    done = threaded("resume", "a", "--epochs", "4", "--plain")
    assert done.stderr.startswith(
        "tuitrain: its cosine schedule now ends with epoch 4: the learning rate goes from 1."
    )
    assert "to 0.0005; --schedule begins another here" in done.stderr


def test_nothing_is_said_where_the_rate_is_constant(threaded: Shell):
    threaded("run", "digits", "--epochs", "1", "--plain", "--name", "a")
    assert threaded("resume", "a", "--epochs", "2", "--plain").stderr == ""


@pytest.mark.parametrize(
    ("name", "description", "middle"),
    [
        ("cosine", "its cosine schedule begins here and ends with epoch 4", 0.0005),
        ("linear", "its linear schedule begins here and ends with epoch 4", 0.0005),
    ],
)
def test_a_schedule_begins_where_a_finished_run_goes_on_whatever_kills_it(
    tuitrain: Shell, name: str, description: str, middle: float
):
    tuitrain(*COSINE, "--pace", "20", "--plain")
    per_epoch = tuitrain.show("a")["steps_per_epoch"]
    said = tuitrain("resume", "a", "--epochs", "4", "--schedule", name, "--detach").stderr
    assert description in said
    assert "to 0.001\n" in said
    until(lambda: tuitrain.show("a")["step"] > 2 * per_epoch + 5, "it trains on")
    supervisor.kill(tuitrain.client("a").paths)
    assert tuitrain.ended("a")["state"] == "crashed"
    tuitrain("resume", "a", "--plain")
    run = tuitrain.show("a")

    assert (run["state"], run["epoch"]) == ("finished", 4)
    assert run["schedule"] == (name if name == "constant" else f"{name}@2")
    after = rates(tuitrain, "a")
    assert after[2 * per_epoch + 1] == 0.001
    assert after[3 * per_epoch + 1] == pytest.approx(middle)
    made = [
        (intervention["kind"], intervention["detail"], intervention["state"])
        for intervention in run["interventions"]
    ]
    assert made == [("epochs", "4", "applied"), ("schedule", name, "applied")]
    assert "the same weights as a, to the last bit" in tuitrain("replay", "a", "--plain").stdout
    assert rates(tuitrain, "a-replay") == after


def test_a_schedule_can_begin_anew_and_a_fork_goes_on_with_it(threaded: Shell):
    threaded(*COSINE, "--plain")
    threaded("resume", "a", "--epochs", "3", "--schedule", "cosine", "--plain")
    threaded("resume", "a", "--epochs", "4", "--schedule", "cosine", "--plain")
    run = threaded.show("a")
    assert run["schedule"] == "cosine@3"
    assert "the same weights as a" in threaded("replay", "a", "--plain").stdout

    threaded("fork", "a", "--epoch", "4", "--epochs", "6", "--plain")
    threaded("fork", "a", "--epoch", "4", "--epochs", "6", "--plain", "--name", "named",
             "--optimizer", "adam:schedule=cosine")  # fmt: skip
    threaded("resume", "a", "--epochs", "6", "--plain")
    fork = threaded.show("a-fork")
    assert fork["optimizer"] == "adam:schedule=cosine@3"
    assert fork["weights_sha256"] == threaded.show("a")["weights_sha256"]
    first = 4 * run["steps_per_epoch"] + 1
    assert rates(threaded, "a-fork")[first] == pytest.approx((1 + math.cos(math.pi / 3)) / 2000)
    assert rates(threaded, "named")[first] == pytest.approx(
        (1 + math.cos(math.pi * 4 / 6)) / 2000
    ), "the whole run's"


def test_a_stopped_run_takes_a_schedule_without_more_epochs_and_undo_takes_it_back(
    threaded: Shell,
):
    threaded.halted("a")
    threaded("resume", "a", "--schedule", "linear", "--batch-size", "128", "--detach")
    threaded("ctl", "a", "pause", "--wait")
    assert threaded.show("a")["schedule"].startswith("linear@")
    live = threaded("resume", "a", "--schedule", "cosine", code=3).stderr
    assert "a has not ended" in live
    threaded("ctl", "a", "undo", "--wait")
    assert threaded.show("a")["schedule"] == "constant"
    threaded("ctl", "a", "schedule", "cosine", "--wait")
    assert threaded.show("a")["schedule"].startswith("cosine@")
    threaded("ctl", "a", "stop")


def test_a_schedule_that_there_is_not_and_one_of_a_finished_run_are_refused(threaded: Shell):
    threaded.trained("a")
    wrong = threaded("resume", "a", "--schedule", "cosin", code=2).stderr
    assert "as in step:size=5:warmup=1, not 'cosin'" in wrong
    assert "--epochs 4 trains on" in threaded("resume", "a", "--schedule", "cosine", code=3).stderr
    assert "schedule takes constant" in threaded("ctl", "a", "schedule", "x", code=2).stderr


def warned(shell: Shell) -> list[str]:
    return shell.show("a")["warnings"]


def test_a_warm_up_that_lasts_to_the_end_is_warned_of_as_soon_as_that_is_known(threaded: Shell):
    too_long = "the warm-up of cosine:warmup=3 lasts to the end of the run, epoch 2"
    threaded("run", "digits", "--optimizer", "adam:schedule=cosine:warmup=3", "--epochs", "2",
             "--plain", "--name", "a")  # fmt: skip
    (text,) = warned(threaded)
    assert text.startswith(too_long)
    assert "a smaller warmup or more epochs" in text
    threaded("resume", "a", "--epochs", "4", "--plain")
    assert warned(threaded) == [text], "it has enough epochs now"
    threaded("resume", "a", "--epochs", "5", "--schedule", "linear:warmup=1", "--plain")
    assert (
        "the warm-up of linear:warmup=1 lasts to the end of the run, epoch 5" in warned(threaded)[1]
    )
