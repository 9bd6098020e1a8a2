"""The losses as curves: value and slope are those of autograd."""

import math

import pytest
import torch
from torch import nn

from tests.unit.engine.test_loop import digits
from tuitrain.catalog import fitting_losses, new_spec
from tuitrain.core.decode import decoded
from tuitrain.core.detail import LossCurves
from tuitrain.engine.build import build
from tuitrain.engine.criteria import Losses
from tuitrain.engine.loss_curves import loss_curves, places_of
from tuitrain.engine.losses import criterion_for

TASKS = {"multiclass": "digits", "binary": "breast-cancer", "regression": "diabetes"}


def curves_of(task: str, **settings) -> LossCurves:
    return decoded(LossCurves, loss_curves(build(new_spec(task, device="cpu", **settings))).body)


def by_autograd(kind: str, loss: str, place: float) -> tuple[float, float]:
    """Return value and slope of a loss for one sample of that log-odds or that residual."""
    x = torch.tensor(place, dtype=torch.float64, requires_grad=True)
    if kind == "multiclass":
        logits = torch.cat(((x + math.log(9)).reshape(1), torch.zeros(9, dtype=torch.float64)))
        assert place == pytest.approx(float(logits.detach().softmax(0)[0].logit()), abs=1e-9)
        output, target = logits[None], torch.tensor([0])
    else:
        output = x.reshape(1, 1)
        target = torch.tensor([1.0 if kind == "binary" else 0.0], dtype=torch.float64)
    value = criterion_for(loss, kind)(output, target)
    (slope,) = torch.autograd.grad(value, x)
    return float(value.detach()), float(slope)


@pytest.mark.parametrize("kind", TASKS)
def test_value_and_slope_of_every_fitting_loss_are_those_of_autograd_at_every_point(kind):
    drawn = curves_of(TASKS[kind])
    assert len(drawn.places) >= 64
    assert set(drawn.curves) == {loss.name for loss in fitting_losses(kind)}
    for loss, curve in drawn.curves.items():
        for place, value, slope in zip(drawn.places, curve.values, curve.slopes, strict=True):
            expected = by_autograd(kind, loss, place)
            assert (value, slope) == pytest.approx(expected, rel=2e-5, abs=2e-6), (loss, place)


def test_the_parameters_of_the_loss_in_use_change_its_curve():
    smooth = "cross-entropy:label_smoothing=0.1"
    drawn = curves_of("digits", loss=smooth)
    assert drawn.curves[smooth].values[-1] > drawn.curves["cross-entropy"].values[-1]


def test_a_sample_of_cross_entropy_lies_on_its_curve():
    logits, target = torch.randn(5, 10), torch.tensor([3, 0, 9, 1, 1])
    places = places_of("multiclass", logits, target)
    losses = nn.functional.cross_entropy(logits, target, reduction="none")
    assert losses.tolist() == pytest.approx(nn.functional.softplus(-places).tolist(), rel=1e-4)


@pytest.mark.parametrize(
    ("kind", "output", "target", "places"),
    [
        ("binary", [[2.0], [-3.0]], [1.0, 0.0], [2.0, 3.0]),
        ("regression", [[2.0], [-3.0]], [1.0, 0.5], [1.0, -3.5]),
        ("regression", [[2.0, 1.0]], [[1.0, 1.0]], []),
        (None, [[2.0]], [1.0], []),
    ],
)
def test_a_sample_has_its_place(kind, output, target, places):
    assert places_of(kind, torch.tensor(output), torch.tensor(target)).tolist() == places


def test_a_loss_of_the_user_that_draws_changes_no_later_number():
    def noisy(output, target):
        return (output.mean() * torch.rand(())).abs()

    run = digits()
    run.losses = Losses("multiclass", {"noisy": noisy})
    before = torch.get_rng_state()
    assert "noisy" in decoded(LossCurves, loss_curves(run).body).curves
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loss_that_refuses_a_single_sample_has_no_curve():
    def of_pairs(output, target):
        assert len(output) > 1, "two samples at least"
        return output.mean()

    run = digits()
    run.losses = Losses("multiclass", {"of-pairs": of_pairs})
    drawn = decoded(LossCurves, loss_curves(run).body)
    assert "of-pairs" not in drawn.curves
    assert "cross-entropy" in drawn.curves
