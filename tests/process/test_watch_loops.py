"""Loops of every kind: watched, they train to the same weights, and each loss is recorded."""

import pytest

from tests.conftest import Shell
from tests.watching import Pair, Scripts, Server, pair, server  # noqa: F401 - a fixture
from tuitrain.core.events import Warned

FRAMEWORKS = {
    "lightning_fit": "lightning",
    "hf_trainer": "transformers",
    "accelerated": "accelerate",
    "skorch_fit": "skorch",
}


@pytest.fixture(scope="module")
def scripts(server: Server, tmp_path_factory) -> Scripts:  # noqa: F811 - the fixture
    folder = tmp_path_factory.mktemp("watched")
    return Scripts(server, Shell(folder / "home"), folder)


def watched_in_silence(scripts: Scripts, script: str, *arguments: str) -> Pair:
    """Return the script both ways, whose weights and losses must be the same."""
    pytest.importorskip(FRAMEWORKS.get(script, "torch"))
    both = pair(scripts, script, *arguments)
    assert both.watched == both.alone
    assert both.losses == both.alone["losses"]
    warnings = [one for one in both.run.events(follow=False) if isinstance(one, Warned)]
    assert (warnings, both.run.state) == ([], "finished")
    return both


def test_the_textbook_loop_has_epochs_validations_and_names(scripts):
    both = watched_in_silence(scripts, "textbook")
    started = both.started
    assert (started.model, started.optimizer, started.steps_per_epoch) == ("Sequential", "Adam", 8)
    assert started.parameters == 64 * 32 + 32 + 2 * 32 + 32 * 10 + 10
    assert started.device == "cpu"
    times = zip(*(row[-6:] for row in both.run.batches()), strict=True)
    assert [sum(of_part) > 0 for of_part in times] == [True, False, True, True, True, True]
    assert [one.loss_name for one in both.epochs] == ["cross-entropy"] * 3
    assert [one.step for one in both.epochs] == [8, 16, 24]
    assert [one.val_loss for one in both.epochs] == pytest.approx(both.alone["val_losses"])


def test_a_loop_with_nll_loss_validates_by_a_sum_and_has_a_mean(scripts):
    both = watched_in_silence(scripts, "nll")
    assert both.started.optimizer == "Adadelta"
    assert {one.loss_name for one in both.epochs} == {"nll"}
    assert [one.val_loss for one in both.epochs] == pytest.approx(both.alone["val_losses"])
    assert both.run.show()["best"]["epoch"] == 3


def test_without_an_optimizer_each_backward_pass_is_a_step(scripts):
    both = watched_in_silence(scripts, "by_hand")
    assert "no optimizer" in both.note
    assert (both.started.optimizer, both.epochs) == ("", [])
    assert both.run.show()["loss"] == "smooth-l1"


def test_a_loss_of_two_terms_is_recorded_whole_and_said_to_be_one(scripts):
    both = watched_in_silence(scripts, "vae")
    assert both.losses[0] > 1000, "it is a sum"
    assert both.started.card.notes[1] == (
        "the loss has more terms than binary-cross-entropy: a swap changes that one alone"
    )


def test_each_of_two_optimizers_has_a_series_of_its_own(scripts):
    both = watched_in_silence(scripts, "gan")
    steps, losses = both.run.series("loss-2")
    assert losses == both.alone["generator_losses"]
    assert list(steps) == list(range(2, 33, 2))
    assert [row.step for row in both.run.batches()] == list(range(1, 32, 2))
    assert both.started.model == "Sequential"


@pytest.mark.parametrize("divisor", ["4", "1"])
def test_the_loss_of_accumulated_gradients_is_the_sum_of_what_was_propagated(scripts, divisor):
    both = watched_in_silence(scripts, "accumulation", divisor)
    assert both.started.card.notes[1] == "4 backward passes a step: its loss is their sum"
    assert both.started.steps_per_epoch == 2
    assert {row.samples for row in both.run.batches()} == {4 * 32}


def test_a_scaled_loss_is_recorded_as_it_was_and_a_skipped_step_is_none(scripts):
    both = watched_in_silence(scripts, "scaler")
    assert len(both.losses) == 15
    assert both.alone["scale"] == 65536 / 2, "a step was skipped"


def test_a_compiled_model_is_named_as_what_is_compiled(scripts):
    both = watched_in_silence(scripts, "compiled")
    assert (both.started.model, both.started.settings["weight-decay"]) == ("Sequential", 0.01)


def test_a_rate_that_changes_after_each_batch_is_recorded_as_it_was(scripts):
    both = watched_in_silence(scripts, "one_cycle")
    assert [row.lr for row in both.run.batches()] == both.alone["rates"]


def test_of_a_closure_the_first_evaluation_is_the_loss(scripts):
    both = watched_in_silence(scripts, "lbfgs")
    assert {row.samples for row in both.run.batches()} == {320}


def test_lightning(scripts):
    both = watched_in_silence(scripts, "lightning_fit")
    assert (both.started.model, both.started.steps_per_epoch) == ("Digits", 8)
    assert [one.val_loss for one in both.epochs] == pytest.approx(both.alone["val_losses"])


def test_transformers(scripts):
    both = watched_in_silence(scripts, "hf_trainer")
    assert (both.started.model, both.started.optimizer) == ("Classifier", "AdamW")
    assert [one.step for one in both.epochs] == [4, 8]
    assert [one.val_loss for one in both.epochs] == pytest.approx(both.alone["val_losses"])


def test_accelerate(scripts):
    both = watched_in_silence(scripts, "accelerated")
    assert both.started.steps_per_epoch == 4
    assert [one.step for one in both.epochs] == [4, 8]


def test_skorch(scripts):
    both = watched_in_silence(scripts, "skorch_fit")
    assert both.started.model == "Sequential"
    assert [one.val_loss for one in both.epochs] == pytest.approx(both.alone["val_losses"])


@pytest.mark.parametrize("loop", ["workers", "folds", "thread", "penalty", "half", "custom"])
def test_an_unusual_loop(scripts, loop):
    watched_in_silence(scripts, "unusual", loop)


@pytest.mark.parametrize("loop", ["one_data_set", "evaluated_training_data"])
def test_the_validation_of_an_epoch_is_that_of_other_data_than_it_trained_on(scripts, loop):
    both = watched_in_silence(scripts, "unusual", loop)
    assert [one.step for one in both.epochs] == [4, 8]
    assert [one.val_loss for one in both.epochs] == pytest.approx(both.alone["val_losses"])


def test_validations_without_a_loader_are_a_series(scripts):
    both = watched_in_silence(scripts, "unusual", "no_loader")
    _, values = both.run.series("val-loss")
    assert list(values) == pytest.approx(both.alone["val_losses"])
