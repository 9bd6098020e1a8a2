"""Watched loops, steered: each command does what it says from the very next step on."""

import math
import os
import signal

import pytest
import torch

from tests.conftest import Shell, until
from tests.process.conftest import opened
from tests.watching import SCRIPTS, Script, Scripts, Server, server  # noqa: F401 - a fixture
from tuitrain import Refused, Run
from tuitrain.core.events import LossSwapped, NotFinite, Stopped, Warned


@pytest.fixture
def scripts(server: Server, tuitrain: Shell, tmp_path) -> Scripts:  # noqa: F811 - the fixture
    tuitrain.home.mkdir(exist_ok=True)
    return Scripts(server, tuitrain, tmp_path)


def waiting(
    scripts: Scripts, script: str, *arguments: str, options: tuple[str, ...] = ("--paused",)
) -> tuple[Script, Run]:
    """Return a script that is paused, with these options after its first step."""
    process = scripts.watch("a", script, *arguments, options=options)
    until((scripts.shell.home / "runs" / "a" / "run.db").exists, "it records")
    run = scripts.run_of("a")
    until(lambda: run.state == "paused", "it waits", lambda: process.log)
    return process, run


def events(run: Run, kind: type) -> list:
    return [event for event in run.events(follow=False) if isinstance(event, kind)]


def losses(run: Run) -> list[float]:
    return [row.loss for row in run.batches()]


@pytest.mark.parametrize("call", ["module", "function", "nll", "sum", "ignored"])
def test_the_loss_of_the_very_next_step_is_the_other_one_of_the_same_reduction(scripts, call):
    process, run = waiting(scripts, "fixed_batch", call)
    assert run.swap_loss("mse", at="batch").step == 1
    run.step(2)
    run.swap_loss("nll" if call == "nll" else "cross-entropy", at="batch")
    run.resume()
    report = process.report()
    by_hand = [report["entropies"][0], *report["errors"][1:3], *report["entropies"][3:]]
    assert losses(run) == report["losses"] == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("none", "reduction='none'"),
        ("weights", "called with weight"),
        ("pixels", "only (N, C) and class indices (N,) can be swapped"),
        ("hand", "a loss written out by hand cannot be swapped"),
    ],
)
def test_a_loss_that_could_not_be_honoured_is_refused_with_the_reason(scripts, call, reason):
    process, run = waiting(scripts, "fixed_batch", call)
    with pytest.raises(Refused) as refusal:
        run.swap_loss("mse", at="batch")
    assert reason in str(refusal.value)
    run.resume()
    report = process.report()
    assert losses(run) == report["losses"]


def test_a_loss_asked_for_at_the_start_that_cannot_be_honoured_is_said_not_to_be_used(scripts):
    process = scripts.watch("asked", "fixed_batch", "hand", options=("--loss", "mse"))
    report, run = process.report(), scripts.run_of("asked")
    assert losses(run) == report["losses"]
    assert run.show()["loss"] == "its own loss"
    (warned,) = events(run, Warned)
    assert warned.text.startswith("the loss mse is not used: no loss function of torch.nn")


def test_of_a_loss_of_two_terms_a_swap_changes_one(scripts):
    process, run = waiting(scripts, "fixed_batch", "terms")
    run.swap_loss("mse", at="batch")
    run.resume()
    report = process.report()
    rest = [
        loss - term for loss, term in zip(report["losses"][1:], report["errors"][1:], strict=True)
    ]
    assert all(0 < term < 0.02 for term in rest)


def test_a_pace_holds_a_loop_that_still_hears_commands(scripts):
    process, run = waiting(scripts, "fixed_batch", "module")
    run.set_pace(0.01)
    run.step()
    run.resume()
    until(lambda: run.steps == 3, "it takes the step that was due")
    assert run.checkpoint().step == 3, "the next one is due in minutes"
    run.set_pace(None)
    report = process.report()
    assert losses(run) == report["losses"]
    assert run.show()["pace"] is None


def test_weight_decay_clipping_and_checkpoints(scripts):
    process, run = waiting(scripts, "fixed_batch", "module", options=("--paused", "--loss", "mse"))
    run.set_weight_decay(0.25)
    run.set_clip_norm(0.01)
    assert run.checkpoint().step == 1
    run.step(2)
    run.set_clip_norm(None)
    run.resume()
    report = process.report()
    assert losses(run) == pytest.approx(report["errors"], rel=1e-5), "it trains with mse at once"
    assert report["decays"] == [0.25] * 12, "it is read after the step, and so after the pause"
    assert report["norms"][1:3] == pytest.approx([0.01, 0.01], rel=1e-3)
    assert min(report["norms"][3:]) > 0.011


def test_what_the_script_decides_is_refused_with_the_reason(scripts):
    process, run = waiting(scripts, "by_hand")
    with pytest.raises(Refused, match="makes its own batches"):
        run.set_batch_size(8)
    with pytest.raises(Refused, match="only the script has its loop"):
        run.lr_find()
    with pytest.raises(Refused, match="no optimizer"):
        run.set_lr(0.1)
    run.resume()
    report = process.report()
    assert losses(run) == report["losses"]


def test_without_epochs_a_change_for_the_end_of_one_is_accepted_for_the_next_step(scripts):
    process, run = waiting(scripts, "by_hand")
    answer = run.swap_loss("mse", at="epoch", wait=False)
    assert str(answer).endswith("accepted, to take effect at the batch boundary")
    (swapped,) = until(lambda: events(run, LossSwapped), "it is swapped")
    assert swapped.step == 1
    run.resume()
    process.report()


def test_undo_restores_model_and_optimizer_so_that_the_same_losses_come_again(scripts):
    process, run = waiting(scripts, "fixed_batch", "module")
    run.step(2)
    run.set_clip_norm(1e9)  # which changes nothing
    run.step(3)
    run.undo()
    run.step(2)
    run.set_lr(1.0)
    run.step(1)
    run.undo()
    run.resume()
    report, rows = process.report(), run.batches()
    first = [row.loss for row in rows if row.take == 1]
    again = [row for row in rows if row.take == 2]
    assert [row.step for row in again] == [4, 5, 6]
    assert [row.loss for row in again[:2]] == first[3:5]
    (after_lr, *_) = (row for row in rows if row.take == 3)
    assert (after_lr.step, after_lr.loss, after_lr.lr) == (6, first[5], 0.01)
    assert len(report["losses"]) == 12, "the script counts on"


def test_the_best_epoch_is_kept_and_gone_back_to_with_the_schedule_of_then(scripts):
    process, run = waiting(scripts, "turning")
    run.step(6)
    until(
        lambda: run.show()["best"]["epoch"] == 3,
        "the third epoch is the best",
        lambda: str(run.show()),
    )
    run.rollback("best")
    assert (run.show()["step"], run.show()["epoch"]) == (3, 3)
    run.resume()
    report, rows = process.report(), run.batches()
    assert [row.loss for row in rows if row.take == 1] == report["losses"][:7]
    (after,) = (row for row in rows if row.take == 2)
    assert (after.step, after.loss) == (4, report["losses"][3])
    assert after.lr == pytest.approx(0.5 * 0.9**4), "the script ended its epoch once more"
    out = process.folder / "exported.pt"
    scripts.shell("export", "a", "--format", "weights", "--which", "best", "--out", str(out))
    exported, saved = torch.load(out), torch.load(process.folder / "report.best")
    assert all(torch.equal(exported[name], saved[name]) for name in saved)


def test_a_learning_rate_is_a_factor_that_no_scheduler_undoes(scripts):
    alone = scripts.start("one_cycle")
    process, run = waiting(scripts, "one_cycle")
    run.set_lr(run.show()["lr"] / 2)
    run.resume()
    report = process.report()
    assert report["rates"] == alone.report()["rates"], "the script's own are untouched"
    assert rates(run) == [
        rate if step == 0 else rate / 2 for step, rate in enumerate(report["rates"])
    ]


def steer(run: Run) -> None:
    """Halve the rate, take two steps, swap the loss for one, take that back, and take another."""
    shown = run.show()
    run.set_lr(shown["lr"] / 2)
    run.step(2)
    own, other = shown["loss"], shown["problem"]["losses"][1]
    run.swap_loss(other, at="batch")
    before = run.steps
    run.step()
    assert (run.show()["loss"], run.steps > before) == (other, True)
    run.undo()
    assert (run.show()["loss"], run.steps) == (own, before)
    run.step()
    rows = run.batches()
    assert [row.take for row in rows] == [1, 1, 1, 1, 2]
    assert rows[4].lr == rows[3].lr, "the schedule of the script went back as well"


def rates(run: Run) -> list[float]:
    return [row.lr for row in run.batches()]


ANY_LOOP = pytest.mark.parametrize(
    ("script", "arguments"),
    [("textbook", ()), ("nll", ()), ("vae", ()), ("gan", ()), ("accumulation", ("4",)),
     ("scaler", ()), ("compiled", ()), ("one_cycle", ()), ("lbfgs", ()), ("accelerated", ())],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip


@ANY_LOOP
def test_a_loop_of_any_kind_propagates_what_is_recorded_of_it_while_it_is_steered(
    scripts, script, arguments
):
    pytest.importorskip("accelerate" if script == "accelerated" else "torch")
    process, run = waiting(scripts, script, *arguments)
    steer(run)
    run.resume()
    report, (first, *halved) = process.report(), rates(run)
    assert losses(run) == report["losses"]
    own = report.get("rates", [first] * len(report["losses"]))
    assert [first, *halved] == [own[0], *(rate / 2 for rate in own[1:])]


def test_a_killed_screen_leaves_the_script_training_to_the_same_weights(scripts, terminals):
    alone = scripts.start("textbook")
    process, run = waiting(scripts, "textbook")
    screen = opened(terminals, scripts.shell, "attach", "a")
    screen.expect("● paused")
    os.kill(screen.pid, signal.SIGKILL)
    until(screen.has_ended, "the screen has ended")
    run.resume()
    assert process.report() == alone.report()


def test_stop_ends_a_plain_script_without_a_traceback_and_without_what_follows(scripts):
    process, run = waiting(scripts, "textbook", "2000")
    run.stop()
    assert process.ended() == 0
    assert "Traceback" not in process.log
    assert "stopped at step 1" in process.log
    assert not (process.folder / "report").exists()
    assert (run.state, run.steps) == ("stopped", 1)


@ANY_LOOP
def test_a_loop_of_any_kind_is_stopped_where_it_waits(scripts, script, arguments):
    pytest.importorskip("accelerate" if script == "accelerated" else "torch")
    process, run = waiting(scripts, script, *arguments)
    steps = run.steps
    run.stop()
    assert process.ended() == 0, process.log
    assert (run.state, run.steps) == ("stopped", steps)
    assert not (process.folder / "report").exists()


def test_without_an_optimizer_a_loop_is_swapped_and_stopped_and_goes_back_to_nothing(scripts):
    process, run = waiting(scripts, "by_hand")
    run.swap_loss("mse", at="batch")
    run.step(2)
    for go_back in (run.undo, lambda: run.rollback(0), run.checkpoint):
        with pytest.raises(Refused, match="so its weights are not known"):
            go_back()
    run.stop()
    assert process.ended() == 0, process.log
    assert (run.state, run.steps, run.show()["loss"]) == ("stopped", 3, "mse")


@pytest.mark.parametrize(
    ("script", "framework"),
    [("lightning_fit", "lightning"), ("hf_trainer", "transformers"), ("skorch_fit", "skorch")],
)
def test_a_framework_is_steered_and_a_stop_ends_it_so_that_the_code_after_it_runs(
    scripts, script, framework
):
    pytest.importorskip(framework)
    process, run = waiting(scripts, script, "2000")
    steer(run)
    first, *halved = rates(run)
    assert halved == pytest.approx([first / 2] * 4, rel=1e-3), "Transformers' decays by itself"
    run.stop()
    assert process.ended() == 0, process.log
    assert "after" in process.log.splitlines()[-1], process.log
    assert (run.state, run.steps) == ("stopped", 4)
    assert len(events(run, Stopped)) == 1
    assert not events(run, Warned)


@pytest.mark.parametrize("how", ["plain", "closure"])
def test_a_nonfinite_step_is_left_out_and_adams_weights_stay_equal(scripts, how):
    process = scripts.watch("a", "diverging", how, options=("--on-nonfinite", "skip"))
    after = process.report()["weights_after"]
    run = scripts.run_of("a")
    assert after[3] == after[2]
    assert after[4] != after[3]
    assert math.isnan(losses(run)[3])
    assert [event.step for event in events(run, NotFinite)] == [4]


def test_a_nonfinite_step_pauses(scripts):
    process, run = waiting(scripts, "diverging", "plain", options=("--on-nonfinite", "pause"))
    assert run.steps == 4
    run.resume()
    after = process.report()["weights_after"]
    assert after[3] == after[2]


def test_a_nonfinite_step_stops_with_the_weights_before_it(scripts):
    process = scripts.watch("a", "diverging", "plain", options=("--on-nonfinite", "stop"))
    assert process.ended() == 1
    run = scripts.run_of("a")
    assert (run.state, run.steps) == ("failed", 4)
    error = run.show()["error"]
    assert error.startswith("the loss was not finite at step 4")
    assert f"started again with: tuitrain watch {SCRIPTS / 'diverging.py'}" in error
    assert f"tuitrain: a: {error}" in process.log
    assert "Traceback" not in process.log


def test_a_nonfinite_step_is_said_once_and_taken_by_default(scripts):
    alone = scripts.start("diverging", "plain")
    watched = scripts.watch("a", "diverging", "plain")
    assert watched.report()["weights"] == alone.report()["weights"]
    (warning,) = events(scripts.run_of("a"), Warned)
    assert "the loss was nan at step 4" in warning.text
