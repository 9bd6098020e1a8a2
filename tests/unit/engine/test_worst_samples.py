"""The validation samples that a model gets most wrong."""

import itertools

import pytest
import torch

from tests.unit.engine.test_loop import digits
from tuitrain.catalog import new_spec
from tuitrain.core.decode import decoded
from tuitrain.core.detail import WORST, WorstSamples
from tuitrain.core.events import Detail, EpochEnded
from tuitrain.engine.build import build
from tuitrain.engine.loop import train
from tuitrain.engine.steering import Steering
from tuitrain.engine.worst_samples import worst_samples


def seen(run, output, target) -> WorstSamples:
    return decoded(WorstSamples, worst_samples(run, output, target).body)


def test_of_classes_they_are_the_wrong_ones_the_surest_first():
    run = digits()
    logits = torch.zeros(4, 10)
    logits[0, 3], logits[1, 3], logits[2, 3], logits[3, 5] = 1.0, 4.0, 9.0, 2.0
    samples = seen(run, logits, torch.tensor([3, 7, 3, 0])).samples
    assert [(sample.number, sample.true, sample.predicted) for sample in samples] == [
        (1, 7, 3),
        (3, 0, 5),
    ]
    assert samples[0].score == pytest.approx(float(logits[1].softmax(0)[3]))


def test_a_picture_is_that_of_its_validation_sample_from_dark_to_bright():
    run = digits()
    (sample,) = seen(run, torch.eye(10)[:1], torch.tensor([1])).samples
    pixels = run.data.val.inputs[0].flatten()
    assert (sample.width, len(sample.pixels)) == (8, 64)
    assert sample.pixels[int(pixels.argmax())] == "f"
    assert sample.pixels[int(pixels.argmin())] == "0"


def test_of_a_binary_problem_either_side_can_be_surely_wrong():
    run = build(new_spec("breast-cancer", device="cpu"))
    output, target = torch.tensor([[3.0], [-5.0], [2.0]]), torch.tensor([0.0, 1.0, 1.0])
    samples = seen(run, output, target).samples
    assert [(sample.number, sample.true, sample.predicted) for sample in samples] == [
        (1, 1, 0),
        (0, 0, 1),
    ]
    assert samples[0].pixels == ""


def test_of_numbers_they_are_the_largest_errors_in_their_own_unit():
    run = build(new_spec("diabetes", device="cpu"))
    unit, offset = run.data.unit, run.data.offset
    samples = seen(run, torch.tensor([[0.5], [-2.0]]), torch.tensor([0.0, 1.0])).samples
    assert [sample.number for sample in samples] == [1, 0]
    assert samples[0].true == pytest.approx(unit + offset, rel=1e-5)
    assert samples[0].predicted == pytest.approx(-2 * unit + offset, rel=1e-4)
    assert samples[0].score == pytest.approx(3 * unit, rel=1e-5)


def test_they_are_recorded_with_an_epochs_end_once_a_second_and_at_the_last():
    run, ticks = digits(epochs=4), itertools.count()
    facts = [
        event for event in train(run, Steering(run), lambda: next(ticks) / 40)
        if isinstance(event, EpochEnded) or (isinstance(event, Detail) and event.name == WORST)
    ]  # fmt: skip
    kinds = [type(fact) for fact in facts]
    # an epoch reads the clock 24 times
    assert kinds == [Detail, EpochEnded, EpochEnded, *[Detail, EpochEnded] * 2]
    assert facts[0].body["epoch"] == facts[1].epoch == 1
    assert facts[3].step == facts[4].step
