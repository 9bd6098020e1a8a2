"""Metrics against scikit-learn's."""

import importlib
import math
from types import ModuleType

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    matthews_corrcoef,
    mean_absolute_error,
    median_absolute_error,
    r2_score,
    recall_score,
    roc_auc_score,
    root_mean_squared_error,
    top_k_accuracy_score,
)

from tests.reads import Reads
from tuitrain.engine.metrics import RunningMean, auroc, evaluate, log_odds, metrics_of


@pytest.fixture
def theirs() -> ModuleType:
    """The metrics of torchmetrics, which takes seconds to import: only where it is asked."""
    return importlib.import_module("torchmetrics.functional.classification")


def test_multiclass_outputs_are_evaluated_as_scikit_learn_does():
    torch.manual_seed(0)
    logits, classes = torch.randn(300, 5), torch.randint(5, (300,))
    found = metrics_of("multiclass", logits, classes)

    chosen = logits.argmax(1)
    assert next(iter(found)) == "accuracy"
    assert found["accuracy"] == pytest.approx(accuracy_score(classes, chosen))
    assert found["f1_macro"] == pytest.approx(f1_score(classes, chosen, average="macro"))
    area = roc_auc_score(classes, logits.softmax(1), multi_class="ovr")
    assert found["auroc"] == pytest.approx(area)


def test_binary_output_is_evaluated_as_scikit_learn_does():
    torch.manual_seed(1)
    logits, labels = torch.randn(300, 1), torch.randint(2, (300,)).float()
    found = metrics_of("binary", logits, labels)

    chosen = (logits[:, 0] > 0).int()
    assert found["accuracy"] == pytest.approx(accuracy_score(labels, chosen))
    assert found["f1_macro"] == pytest.approx(f1_score(labels, chosen, average="macro"))
    assert found["auroc"] == pytest.approx(roc_auc_score(labels, logits[:, 0]))


def test_numbers_are_evaluated_in_the_targets_own_unit():
    torch.manual_seed(2)
    predicted, targets = torch.randn(300, 1), torch.randn(300)
    found = metrics_of("regression", predicted, targets, unit=77.0)

    pair = 77 * targets, 77 * predicted[:, 0]
    assert next(iter(found)) == "rmse"
    assert found["rmse"] == pytest.approx(root_mean_squared_error(*pair))
    assert found["mae"] == pytest.approx(mean_absolute_error(*pair))
    assert found["r2"] == pytest.approx(r2_score(*pair))


SEEDS = st.integers(0, 10_000)


@pytest.mark.filterwarnings("ignore:A single label was found")
@given(SEEDS, st.integers(2, 9), st.integers(1, 40))
@settings(deadline=None, max_examples=50)
def test_classes_that_tie_or_are_absent_are_evaluated_as_scikit_learn_does(seed, count, samples):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randint(-2, 3, (samples, count), generator=generator) / 2  # with many ties
    classes = torch.randint(count, (samples,), generator=generator)
    found, chosen = metrics_of("multiclass", logits, classes), logits.argmax(1)

    present, labels = classes.unique().tolist(), range(count)
    recall = recall_score(classes, chosen, labels=present, average="macro", zero_division=0)
    expected = {
        "balanced_accuracy": recall,
        "mcc": matthews_corrcoef(classes, chosen),
        "calibration_error": float(of_bins(logits.double().softmax(1), classes)),
    }
    if count > 5:
        expected["top5_accuracy"] = top_k_accuracy_score(classes, logits, k=5, labels=labels)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def of_bins(probabilities, classes):
    """Return the calibration error as its definition has it, bin by bin."""
    confidence, chosen = probabilities.max(1)
    error = 0.0
    for low in range(15):
        inside = (confidence * 15 > low) & (confidence * 15 <= low + 1)
        if inside.any():
            right = (chosen == classes)[inside].double().mean()
            error += inside.double().mean() * (right - confidence[inside].mean()).abs()
    return error


def test_the_calibration_error_is_that_of_torchmetrics(theirs):
    torch.manual_seed(6)
    logits, classes = 2 * torch.randn(500, 7), torch.randint(7, (500,))
    expected = theirs.multiclass_calibration_error(logits.double().softmax(1), classes, 7, 15)
    found = metrics_of("multiclass", logits, classes)["calibration_error"]
    assert found == pytest.approx(float(expected), abs=1e-6)

    z, labels = 2 * torch.randn(500, 1).double(), torch.randint(2, (500,))
    both = torch.cat((-z, z), 1).mul(0.5).softmax(1)
    expected = theirs.multiclass_calibration_error(both, labels, 2, 15)
    found = metrics_of("binary", z, labels.float())["calibration_error"]
    assert found == pytest.approx(float(expected), abs=1e-6)


@given(SEEDS, st.integers(1, 5), st.integers(2, 40))
@settings(deadline=None, max_examples=50)
def test_multilabel_outputs_are_evaluated_as_scikit_learn_does(seed, count, samples):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randint(-2, 3, (samples, count), generator=generator) / 2
    labels = torch.randint(2, (samples, count), generator=generator)
    found, chosen = metrics_of("multilabel", logits, labels.float()), (logits > 0).int()

    varied = [k for k in range(count) if len(labels[:, k].unique()) == 2]
    areas = [roc_auc_score(labels[:, k], logits[:, k]) for k in varied]
    f1 = [f1_score(labels[:, k], chosen[:, k], zero_division=0) for k in range(count)]
    assert found == pytest.approx(
        {
            "f1_macro": sum(f1) / count,
            "auroc": sum(areas) / len(areas) if areas else math.nan,
            "label_accuracy": accuracy_score(labels.flatten(), chosen.flatten()),
            "subset_accuracy": (labels == chosen).all(1).double().mean().item(),
        },
        abs=1e-6,
        nan_ok=True,
    )


@given(SEEDS, st.integers(2, 9))
@settings(deadline=None, max_examples=20)
def test_the_median_error_is_scikit_learns_of_even_and_odd_numbers(seed, samples):
    predicted, targets = torch.randn(2, samples, generator=torch.Generator().manual_seed(seed))
    found = metrics_of("regression", predicted[:, None], targets, unit=3.0)
    expected = 3 * median_absolute_error(targets, predicted)
    assert found["median_error"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression"])
def test_a_validation_of_any_kind_waits_for_the_device_as_often_as_before(kind):
    outputs = torch.randn(40, {"multiclass": 8, "multilabel": 3}.get(kind, 1))
    targets = torch.randint(2, (40, 3) if kind == "multilabel" else (40,))
    with Reads() as reads:
        evaluate(kind, outputs, targets if kind == "multiclass" else targets.float())
    assert reads.count == (3 if kind in ("binary", "multiclass") else 1)


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


def test_large_logits_keep_their_order_where_their_probabilities_are_all_0_or_1(theirs):
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


def test_what_torchmetrics_has_right_agrees(theirs):
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
