"""How the predictions of a validation are spread: by class, and around the true numbers."""

import math

import pytest
import torch

from tests.unit.engine.test_loop import digits
from tuitrain.catalog import new_spec
from tuitrain.core.decode import decoded
from tuitrain.core.detail import FIT, SCORES, Fit, Scores
from tuitrain.core.events import Detail, EpochEnded
from tuitrain.engine.build import build
from tuitrain.engine.fit import RESIDUAL_BINS, SCORE_BINS, spread
from tuitrain.engine.loop import train
from tuitrain.engine.steering import Steering


def scores(run, output, target) -> Scores:
    return decoded(Scores, spread(run, output, target).body)


def fit(output: list[float], target: list[float]) -> tuple[Fit, float, float]:
    """Return what is recorded of predictions, and the size and mean of the target's unit."""
    run = build(new_spec("diabetes", device="cpu"))
    found = spread(run, torch.tensor(output)[:, None], torch.tensor(target))
    return decoded(Fit, found.body), run.data.unit, run.data.offset


def test_a_sample_is_counted_in_its_class_at_the_probability_of_that_class():
    logits = torch.zeros(3, 10)
    logits[0, 3], logits[1, 3] = 50.0, -50.0
    counts = scores(digits(), logits, torch.tensor([3, 3, 7])).counts
    assert len(counts) == 10
    assert {len(row) for row in counts} == {SCORE_BINS}
    assert (counts[3][-1], counts[3][0], counts[7][2]) == (1, 1, 1)  # 0.1 begins the third bin
    assert sum(map(sum, counts)) == 3


def test_either_class_of_a_binary_problem_has_the_probability_of_its_own():
    run = build(new_spec("breast-cancer", device="cpu"))
    output, target = torch.tensor([[3.0], [-3.0], [-3.0]]), torch.tensor([1.0, 0.0, 1.0])
    counts = scores(run, output, target).counts
    high, low = int(SCORE_BINS / (1 + math.exp(-3))), int(SCORE_BINS / (1 + math.exp(3)))
    assert (counts[0][high], counts[1][high], counts[1][low]) == (1, 1, 1)


def test_a_score_that_is_nan_is_in_no_bin():
    logits = torch.zeros(2, 10)
    logits[0, 0] = math.nan
    assert sum(map(sum, scores(digits(), logits, torch.tensor([1, 1])).counts)) == 1


def test_numbers_and_residuals_are_in_the_unit_of_the_target():
    found, unit, offset = fit([0.5, -2.0, 1.0], [0.0, 1.0, 1.0])
    assert found.samples == 3
    assert found.true == pytest.approx((offset, unit + offset, unit + offset), rel=1e-5)
    assert found.predicted[1] == pytest.approx(-2 * unit + offset, rel=1e-4)
    assert found.mean == pytest.approx(-2.5 / 3 * unit, rel=1e-5)
    assert found.median == pytest.approx(unit / 2, rel=1e-5)
    assert found.limit == pytest.approx(3 * unit, rel=1e-5), "the largest, as it is not far off"
    assert (found.counts[0], found.counts[RESIDUAL_BINS // 2], sum(found.counts)) == (1, 1, 3)


def test_outliers_are_counted_in_the_outermost_bins_and_many_samples_are_thinned():
    found, unit, _ = fit([*[0.1, -0.1] * 500, 90.0, math.nan], [0.0] * 1002)
    assert found.limit == pytest.approx(0.6 * unit, rel=1e-5)
    assert (found.counts[-1], sum(found.counts)) == (1, 1001), "NaN is nowhere"
    assert found.samples == 1002
    assert 300 < len(found.true) == len(found.predicted) <= 400
    assert math.isnan(found.mean)


@pytest.mark.parametrize("number", [0.0, math.nan])
def test_predictions_without_an_error_or_without_a_number_have_a_histogram(number):
    found, _, _ = fit([number, number], [0.0, 0.0])
    assert found.limit > 0
    assert sum(found.counts) == (0 if math.isnan(number) else 2)


@pytest.mark.parametrize(("task", "name"), [("digits", SCORES), ("diabetes", FIT)])
def test_every_validation_records_them_before_its_end(task, name):
    run = build(new_spec(task, epochs=3, model="linear", device="cpu"))
    facts = [
        fact for fact in train(run, Steering(run), lambda: 0.0)
        if isinstance(fact, EpochEnded) or (isinstance(fact, Detail) and fact.name == name)
    ]  # fmt: skip
    assert [type(fact) for fact in facts] == [Detail, EpochEnded] * 3
    assert [fact.step for fact in facts[::2]] == [fact.step for fact in facts[1::2]]
