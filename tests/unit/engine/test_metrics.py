"""Metrics against scikit-learn's."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from tuitrain.core.problem import Metric
from tuitrain.engine.metrics import Best, RunningMean, auroc, judged


def test_several_classes_are_judged_as_scikit_learn_does():
    torch.manual_seed(0)
    logits, classes = torch.randn(300, 5), torch.randint(5, (300,))
    found = judged("multiclass", logits, classes)

    chosen = logits.argmax(1)
    assert list(found) == ["accuracy", "f1_macro", "auroc"]
    assert found["accuracy"] == pytest.approx(accuracy_score(classes, chosen))
    assert found["f1_macro"] == pytest.approx(f1_score(classes, chosen, average="macro"))
    area = roc_auc_score(classes, logits.softmax(1), multi_class="ovr")
    assert found["auroc"] == pytest.approx(area)


def test_yes_or_no_is_judged_as_scikit_learn_does():
    torch.manual_seed(1)
    logits, labels = torch.randn(300, 1), torch.randint(2, (300,)).float()
    found = judged("binary", logits, labels)

    chosen = (logits[:, 0] > 0).int()
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, chosen))
    assert found["f1_macro"] == pytest.approx(f1_score(labels, chosen, average="macro"))
    assert found["auroc"] == pytest.approx(roc_auc_score(labels, logits[:, 0]))


def test_numbers_are_judged_in_the_targets_own_unit():
    torch.manual_seed(2)
    predicted, targets = torch.randn(300, 1), torch.randn(300)
    found = judged("regression", predicted, targets, unit=77.0)

    theirs = 77 * predicted[:, 0], 77 * targets
    assert next(iter(found)) == "rmse"
    assert found["rmse"] == pytest.approx(root_mean_squared_error(*theirs[::-1]))
    assert found["mae"] == pytest.approx(mean_absolute_error(*theirs[::-1]))
    assert found["r2"] == pytest.approx(r2_score(*theirs[::-1]))


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=40))
@settings(deadline=None)
def test_the_area_under_the_curve_minds_ties_as_scikit_learn_does(pairs):
    scores = torch.tensor([[float(score) for score, _ in pairs]])
    positive = torch.tensor([[int(label) for _, label in pairs]])
    found = float(auroc(scores, positive)[0])

    if positive.sum() in (0, len(pairs)):
        assert math.isnan(found)
    else:
        assert found == pytest.approx(roc_auc_score(positive[0], scores[0]))


def test_a_mean_of_more_batches_than_are_kept_is_the_mean_of_all():
    mean = RunningMean()
    for number in range(1000):
        mean.add(torch.tensor(float(number)), number % 3 + 1)

    total = sum(number * (number % 3 + 1) for number in range(1000))
    assert mean.value() == pytest.approx(total / sum(n % 3 + 1 for n in range(1000)))
    assert math.isnan(RunningMean().value())


def test_nothing_that_is_not_a_number_is_ever_the_best():
    best = Best(Metric("rmse", "min"))
    judgements = [best.improved_by({"rmse": value}) for value in (math.nan, 2.0, 3.0, 1.0)]
    assert judgements == [False, True, False, True]
