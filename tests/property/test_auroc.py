"""The area under the ROC curve against scikit-learn's, of logits of any size."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from torch import Tensor

from tuitrain.engine.metrics import metrics_of

SCALES = (1e-3, 1.0, 30.0, 1e3, 1e6)
"""From an untrained model to one that a large learning rate blew up."""


@st.composite
def validations(draw, classes: int, columns: int) -> tuple[Tensor, Tensor, float]:
    """Draw logits (N, columns), classes (N,) and the scale; rows may repeat, classes be absent."""
    samples, scale = draw(st.integers(2, 80)), draw(st.sampled_from(SCALES))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1 << 32)))
    logits = scale * torch.randn(samples, columns, generator=generator)
    if draw(st.booleans(), label="ties"):
        logits = logits[torch.randint(1 + samples // 2, (samples,), generator=generator)]
    return logits, torch.randint(classes, (samples,), generator=generator), scale


def area(positive: Tensor, scores: Tensor) -> float:
    """Return scikit-learn's area; NaN with one class only, of which it knows none."""
    count = int(positive.sum())
    return float(roc_auc_score(positive, scores)) if 0 < count < len(positive) else math.nan


def macro(logits: Tensor, classes: Tensor) -> float:
    """Return the mean area of each class against the rest, by exact log odds."""
    exact, areas = logits.double(), []
    for number in range(logits.shape[1]):
        others = [other for other in range(logits.shape[1]) if other != number]
        areas.append(area(classes == number, exact[:, number] - exact[:, others].logsumexp(1)))
    known = [one for one in areas if not math.isnan(one)]
    return sum(known) / len(known) if known else math.nan


def auroc(kind: str, logits: Tensor, classes: Tensor) -> float:
    return metrics_of(kind, logits, classes)["auroc"]


@settings(max_examples=50)
@given(st.integers(2, 6).flatmap(lambda classes: validations(classes, classes)))
def test_of_several_classes_it_is_the_mean_of_each_against_the_rest(validation):
    logits, classes, scale = validation
    found = auroc("multiclass", logits, classes)
    assert found == pytest.approx(macro(logits, classes), nan_ok=True)
    if scale <= 1 and len(classes.unique()) == logits.shape[1] > 2:
        chances = logits.double().softmax(1)
        assert found == pytest.approx(roc_auc_score(classes, chances, multi_class="ovr"))


@pytest.mark.parametrize("seed", range(40))
def test_samples_that_float32_could_not_tell_apart_are_ranked(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 1e-3 * torch.randn(60, 4, generator=generator)
    classes = torch.randint(4, (60,), generator=generator)
    assert auroc("multiclass", logits, classes) == pytest.approx(macro(logits, classes))


@settings(max_examples=50)
@given(validations(2, 1))
def test_of_two_classes_it_is_that_of_the_logit(validation):
    logits, classes, _ = validation
    found = auroc("binary", logits, classes.float())
    assert found == pytest.approx(area(classes, logits[:, 0]), nan_ok=True)


@settings(max_examples=30)
@given(validations(3, 3), st.integers(0, 1 << 16), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_of_a_logit_that_is_no_number_it_is_undefined(validation, place, value):
    logits, classes, _ = validation
    logits = logits.clone()
    logits.flatten()[place % logits.numel()] = value
    found = auroc("multiclass", logits, classes)
    assert math.isnan(found) or (value == -math.inf and 0 <= found <= 1)
    assert math.isnan(auroc("binary", torch.full((len(classes), 1), math.nan), classes % 2))
