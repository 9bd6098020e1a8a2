"""The loss along a step: measured before a pause, and without a trace in the training."""

import pytest
import torch

from tests.unit.engine.test_loop import digits
from tuitrain.core.commands import Request, Step
from tuitrain.core.decode import decoded
from tuitrain.core.detail import LINE_SEARCH, SAMPLE, LineSearch, Sample, WrongSamples
from tuitrain.core.events import BatchDone, Detail, Finished
from tuitrain.engine import step_probe
from tuitrain.engine.line_search import PLACES
from tuitrain.engine.loop import train
from tuitrain.engine.state import rng
from tuitrain.engine.state.weights import weights_sha256
from tuitrain.engine.steering import Steering
from tuitrain.engine.training import Training

DRAWS = "mlp:hidden=16,norm=batch,dropout=0.5"


def after_a_step(run, steps: int):
    """Yield the events of a run that is trained so many steps at a time."""

    def commands(wait_s):
        return [Request.new(Step(steps), None)] if wait_s is None else []  # while it is paused

    return train(run, Steering(run, commands, paused=True), clock=lambda: 0.0)


def first_search(run, steps: int = 1) -> tuple[Detail, list[BatchDone]]:
    """Return the first line search of a run, and the batches before it."""
    done = []
    for event in after_a_step(run, steps):
        done += [event] if isinstance(event, BatchDone) else []
        if isinstance(event, Detail) and event.name == LINE_SEARCH:
            return event, done
    return pytest.fail("nothing was measured")


def searches(events) -> int:
    """Return how many line searches are among these events."""
    return sum(isinstance(event, Detail) and event.name == LINE_SEARCH for event in events)


def test_before_the_step_it_is_the_loss_of_the_batch_also_with_dropout():
    detail, (done,) = first_search(digits(model=DRAWS))
    search = decoded(LineSearch, detail.body)
    losses = dict(zip(search.places, search.losses, strict=True))
    assert (detail.take, detail.step, tuple(losses)) == (1, 1, PLACES)
    assert (PLACES[0], PLACES[-1]) == (-1, 3)
    assert losses[0.0] == pytest.approx(float(done.loss), rel=1e-5)


def first_batch() -> tuple[Training, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a run, its first batch, and the logits and losses of that before its step."""
    run = digits()
    data, target = next(run.batches())
    with torch.no_grad():
        before = run.model(data)
    losses = torch.nn.functional.cross_entropy(before, target, reduction="none")
    return run, data, target, before, losses


def wrong_samples(run: Training) -> Detail:
    """Train a batch, and return what is said of its most wrong samples."""
    events = after_a_step(run, 1)
    return next(event for event in events if isinstance(event, Detail) and event.name == SAMPLE)


def test_the_most_wrong_sample_has_its_logits_before_and_after_the_step_and_its_picture():
    run, data, target, before, losses = first_batch()
    sample = decoded(Sample, wrong_samples(run).body)
    assert (sample.number, sample.true) == (int(losses.argmax()), int(target[losses.argmax()]))
    assert sample.before == pytest.approx(before[sample.number].tolist(), rel=1e-4)
    after = run.model(data[sample.number][None])[0].tolist()
    assert sample.after == pytest.approx(after, rel=1e-4)
    assert (sample.width, len(sample.pixels)) == (8, 64)
    pull = before[sample.number].softmax(dim=0)
    pull[sample.true] -= 1
    assert sample.gradient == pytest.approx(pull.tolist(), rel=1e-4)


def test_a_few_more_samples_follow_the_most_wrong_one():
    run, _, target, _, losses = first_batch()
    samples = decoded(WrongSamples, wrong_samples(run).body).all
    numbers = losses.argsort(descending=True)[:6].tolist()
    assert [sample.number for sample in samples] == numbers
    assert [sample.true for sample in samples] == target[numbers].tolist()


def test_the_gradient_of_a_sample_is_that_of_the_loss_in_use():
    run = digits(loss="mse")
    detail = wrong_samples(run)
    sample = decoded(Sample, detail.body)
    logits = torch.tensor([sample.before], requires_grad=True)
    run.criterion(logits, torch.tensor([sample.true])).backward()
    assert sample.gradient == pytest.approx(logits.grad[0].tolist(), rel=1e-3)
    assert len(sample.gradient) == len(sample.before)


def test_after_the_step_it_is_the_loss_of_the_same_batch_with_the_new_weights():
    run = digits()
    data, target = next(run.batches())
    detail, _ = first_search(run)
    search = decoded(LineSearch, detail.body)
    again = float(run.criterion(run.model(data), target).detach())
    assert search.losses[PLACES.index(1.0)] == pytest.approx(again, rel=1e-5)


def test_of_several_steps_the_last_one_is_measured():
    detail, done = first_search(digits(), steps=3)
    assert detail.step == len(done) == 3


def test_a_run_that_does_not_pause_measures_none():
    run = digits(epochs=1)
    assert searches(train(run, Steering(run))) == 0


def test_measuring_every_step_changes_no_weight_no_buffer_and_no_draw():
    def end(in_steps: bool) -> tuple[str, list[int], int]:
        run = digits(epochs=1, model=DRAWS)
        found = list(after_a_step(run, 1) if in_steps else train(run, Steering(run)))
        assert any(isinstance(event, Finished) for event in found)
        return weights_sha256(run.model), rng.state(run.device)["cpu"].tolist(), searches(found)

    measured, plain = end(True), end(False)
    assert measured[:2] == plain[:2]
    assert (measured[2], plain[2]) == (23, 0)


def test_a_model_that_cannot_be_copied_or_is_too_large_is_trained_without(monkeypatch):
    run = digits(epochs=1)
    run.model.last = torch.zeros(1, requires_grad=True) * 2  # such a tensor cannot be copied
    events = list(after_a_step(run, 5))
    assert any(isinstance(event, Finished) for event in events)
    monkeypatch.setattr(step_probe, "_MOST_WEIGHTS", 10)
    assert searches(events) == searches(after_a_step(digits(epochs=1), 5)) == 0
