"""Metrics against scikit-learn's."""

import math

import pytest
import torch
import torchmetrics.functional.classification as theirs
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

from tuitrain.engine.metrics import RunningMean, auroc, log_odds, metrics_of


def test_several_classes_are_judged_as_scikit_learn_does():
    torch.manual_seed(0)
    logits, classes = torch.randn(300, 5), torch.randint(5, (300,))
    found = metrics_of("multiclass", logits, classes)

    chosen = logits.argmax(1)
    assert next(iter(found)) == "accuracy"
    assert found["accuracy"] == pytest.approx(accuracy_score(classes, chosen))
    assert found["f1_macro"] == pytest.approx(f1_score(classes, chosen, average="macro"))
    area = roc_auc_score(classes, logits.softmax(1), multi_class="ovr")
    assert found["auroc"] == pytest.approx(area)


def test_yes_or_no_is_judged_as_scikit_learn_does():
    torch.manual_seed(1)
    logits, labels = torch.randn(300, 1), torch.randint(2, (300,)).float()
    found = metrics_of("binary", logits, labels)

    chosen = (logits[:, 0] > 0).int()
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, chosen))
    assert found["f1_macro"] == pytest.approx(f1_score(labels, chosen, average="macro"))
    assert found["auroc"] == pytest.approx(roc_auc_score(labels, logits[:, 0]))


def test_numbers_are_judged_in_the_targets_own_unit():
    torch.manual_seed(2)
    predicted, targets = torch.randn(300, 1), torch.randn(300)
    found = metrics_of("regression", predicted, targets, unit=77.0)

    pair = 77 * targets, 77 * predicted[:, 0]
    assert next(iter(found)) == "rmse"
    assert found["rmse"] == pytest.approx(root_mean_squared_error(*pair))
    assert found["mae"] == pytest.approx(mean_absolute_error(*pair))
    assert found["r2"] == pytest.approx(r2_score(*pair))


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


@given(st.lists(st.lists(st.floats(-8, 8), min_size=3, max_size=3), min_size=1, max_size=20))
@settings(deadline=None)
def test_the_log_odds_are_those_of_the_softmax(rows):
    logits = torch.tensor(rows, dtype=torch.float64)
    torch.testing.assert_close(log_odds(logits), logits.softmax(dim=1).logit())


def test_large_logits_keep_their_order_where_their_probabilities_are_all_0_or_1():
    torch.manual_seed(3)
    logits, classes = 300 * torch.randn(200, 3), torch.randint(3, (200,))
    exact = logits.double()
    odds = [exact[:, k] - exact[:, [j for j in range(3) if j != k]].logsumexp(1) for k in range(3)]
    areas = [roc_auc_score(classes == k, odds[k]) for k in range(3)]

    found = metrics_of("multiclass", logits, classes)["auroc"]
    assert found == pytest.approx(sum(areas) / 3)
    assert float(theirs.multiclass_auroc(logits, classes, 3)) != pytest.approx(found, abs=1e-3)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_an_area_that_is_undefined_is_no_number(kind):
    outputs = torch.randn(8, 1 if kind == "binary" else 3)
    one_class, two = torch.zeros(8, dtype=torch.int64), torch.arange(8) % 2
    broken = torch.full_like(outputs, math.nan)

    assert math.isnan(metrics_of(kind, outputs, one_class)["auroc"])
    assert math.isnan(metrics_of(kind, broken, two)["auroc"])
    assert not math.isnan(metrics_of(kind, outputs, two)["auroc"])


@pytest.mark.parametrize("target", [0.1, 3.0])
def test_r2_of_a_constant_target_is_undefined(target):
    targets = torch.full((150,), target)
    assert math.isnan(metrics_of("regression", torch.randn(150, 1), targets)["r2"])
    assert math.isnan(metrics_of("regression", targets[:, None], targets)["r2"])


def test_what_torchmetrics_has_right_agrees():
    torch.manual_seed(5)
    logits, classes = torch.randn(300, 5), torch.randint(4, (300,))  # one class is absent
    found, chosen = metrics_of("multiclass", logits, classes), logits.argmax(dim=1)
    accuracy = theirs.multiclass_accuracy(chosen, classes, 5, average="micro")
    f1 = theirs.multiclass_f1_score(chosen, classes, 5, average="macro")

    assert found["accuracy"] == pytest.approx(float(accuracy))
    assert found["f1_macro"] == pytest.approx(float(f1))
    assert found["accuracy"] != float(accuracy), "which is rounded to float32"


def test_a_mean_of_more_batches_than_are_kept_is_the_mean_of_all():
    mean = RunningMean()
    for number in range(1000):
        mean.add(torch.tensor(float(number)), number % 3 + 1)

    total = sum(number * (number % 3 + 1) for number in range(1000))
    assert mean.value() == pytest.approx(total / sum(n % 3 + 1 for n in range(1000)))
    assert math.isnan(RunningMean().value())
