"""Every loss on every kind of problem that it fits: torch's own number, and scikit-learn's."""

import re

import pytest
import torch
from sklearn.metrics import (
    brier_score_loss,
    hinge_loss,
    log_loss,
    mean_absolute_error,
    mean_pinball_loss,
    mean_poisson_deviance,
    mean_squared_error,
)
from torch import nn
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from tuitrain.catalog import LOSSES, fitting_losses, loss_named
from tuitrain.core.errors import Refused, WrongUse
from tuitrain.engine.losses import criterion_for

N, C = 200, 7


def some(kind):
    """Return a prediction that wants a gradient, and a target, for a problem of that kind."""
    torch.manual_seed(3)
    outputs = C if kind in ("multiclass", "multilabel") else 1
    prediction = (3 * torch.randn(N, outputs)).requires_grad_()
    target = {
        "multiclass": torch.randint(C, (N,)),
        "binary": torch.randint(2, (N,)).float(),
        "multilabel": torch.randint(2, (N, C)).float(),
        "regression": torch.randn(N),
    }[kind]
    return prediction, target


def one_hot(target):
    return functional.one_hot(target, C).float()


def signs(y):
    return 2 * y - 1


def of_true(z, y):
    """Return the probability of the true class of each sample."""
    return z.softmax(1)[torch.arange(N), y]


def weighed(y, alpha):
    return alpha * y + (1 - alpha) * (1 - y)


BY_TORCH = {
    ("cross-entropy", "multiclass"): lambda z, y: nn.CrossEntropyLoss()(z, y),
    ("cross-entropy", "binary"): lambda z, y: nn.CrossEntropyLoss()(
        torch.cat((torch.zeros(N, 1), z), 1), y.long()
    ),
    ("bce-with-logits", "multiclass"): lambda z, y: nn.BCEWithLogitsLoss()(z, one_hot(y)),
    ("bce-with-logits", "binary"): lambda z, y: nn.BCEWithLogitsLoss()(z[:, 0], y),
    ("bce-with-logits", "multilabel"): lambda z, y: nn.BCEWithLogitsLoss()(z, y),
    ("nll", "multiclass"): lambda z, y: nn.NLLLoss()(z.log_softmax(1), y),
    ("focal", "multiclass"): lambda z, y: -((1 - of_true(z, y)) ** 2 * of_true(z, y).log()).mean(),
    ("focal", "binary"): lambda z, y: sigmoid_focal_loss(z[:, 0], y, reduction="mean"),
    ("focal", "multilabel"): lambda z, y: sigmoid_focal_loss(z, y, reduction="mean"),
    ("multi-margin", "multiclass"): lambda z, y: nn.MultiMarginLoss()(z, y),
    ("hinge", "binary"): lambda z, y: (1 - signs(y) * z[:, 0]).clamp_min(0).mean(),
    ("soft-margin", "binary"): lambda z, y: nn.SoftMarginLoss()(z[:, 0], signs(y)),
    ("multilabel-soft-margin", "multilabel"): lambda z, y: nn.MultiLabelSoftMarginLoss()(z, y),
    ("brier", "multiclass"): lambda z, y: ((z.softmax(1) - one_hot(y)) ** 2).sum(1).mean(),
    ("brier", "binary"): lambda z, y: ((z[:, 0].sigmoid() - y) ** 2).mean(),
    ("brier", "multilabel"): lambda z, y: ((z.sigmoid() - y) ** 2).mean(),
    ("mse", "multilabel"): lambda z, y: nn.MSELoss()(z.sigmoid(), y),
    ("l1", "multilabel"): lambda z, y: nn.L1Loss()(z.sigmoid(), y),
    ("smooth-l1", "regression"): lambda z, y: nn.SmoothL1Loss()(z[:, 0], y),
    ("huber", "regression"): lambda z, y: nn.HuberLoss()(z[:, 0], y),
    ("log-cosh", "regression"): lambda z, y: (z[:, 0] - y).cosh().log().mean(),
    ("quantile", "regression"): lambda z, y: (z[:, 0] - y).abs().mean() / 2,
    ("poisson-nll", "regression"): lambda z, y: nn.PoissonNLLLoss()(z[:, 0], y),
    ("mse", "multiclass"): lambda z, y: nn.MSELoss()(z.softmax(1), one_hot(y)),
    ("mse", "binary"): lambda z, y: nn.MSELoss()(z[:, 0].sigmoid(), y),
    ("mse", "regression"): lambda z, y: nn.MSELoss()(z[:, 0], y),
    ("l1", "multiclass"): lambda z, y: nn.L1Loss()(z.softmax(1), one_hot(y)),
    ("l1", "binary"): lambda z, y: nn.L1Loss()(z[:, 0].sigmoid(), y),
    ("l1", "regression"): lambda z, y: nn.L1Loss()(z[:, 0], y),
}
WITH_PARAMETERS = {
    ("cross-entropy:label_smoothing=0.1", "multiclass"): lambda z, y: nn.CrossEntropyLoss(
        label_smoothing=0.1
    )(z, y),
    ("cross-entropy:label_smoothing=0.1", "binary"): lambda z, y: nn.CrossEntropyLoss(
        label_smoothing=0.1
    )(torch.cat((torch.zeros(N, 1), z), 1), y.long()),
    ("bce-with-logits:pos_weight=3", "multiclass"): lambda z, y: nn.BCEWithLogitsLoss(
        pos_weight=torch.tensor(3.0)
    )(z, one_hot(y)),
    ("bce-with-logits:pos_weight=3", "binary"): lambda z, y: nn.BCEWithLogitsLoss(
        pos_weight=torch.tensor(3.0)
    )(z[:, 0], y),
    ("bce-with-logits:pos_weight=3", "multilabel"): lambda z, y: nn.BCEWithLogitsLoss(
        pos_weight=torch.tensor(3.0)
    )(z, y),
    ("focal:gamma=0", "multiclass"): lambda z, y: nn.CrossEntropyLoss()(z, y),
    ("focal:gamma=0.5", "binary"): lambda z, y: sigmoid_focal_loss(
        z[:, 0], y, gamma=0.5, reduction="mean"
    ),
    ("focal:gamma=1", "multilabel"): lambda z, y: sigmoid_focal_loss(
        z, y, gamma=1, reduction="mean"
    ),
    ("focal:alpha=0.9", "binary"): lambda z, y: sigmoid_focal_loss(
        z[:, 0], y, alpha=0.9, reduction="mean"
    ),
    ("focal:alpha=0.5", "multilabel"): lambda z, y: sigmoid_focal_loss(
        z, y, alpha=0.5, reduction="mean"
    ),
    ("multi-margin:p=2", "multiclass"): lambda z, y: nn.MultiMarginLoss(p=2)(z, y),
    ("multi-margin:margin=0.5", "multiclass"): lambda z, y: nn.MultiMarginLoss(margin=0.5)(z, y),
    ("smooth-l1:beta=0.1", "regression"): lambda z, y: nn.SmoothL1Loss(beta=0.1)(z[:, 0], y),
    ("huber:delta=0.1", "regression"): lambda z, y: nn.HuberLoss(delta=0.1)(z[:, 0], y),
    ("quantile:q=0.9", "regression"): lambda z, y: (
        torch.where(y > z[:, 0], 0.9, 0.1) * (z[:, 0] - y).abs()
    ).mean(),
    ("poisson-nll:log_input=no", "regression"): lambda z, y: nn.PoissonNLLLoss(log_input=False)(
        z[:, 0].abs(), y
    ),
}


def test_every_fitting_pair_of_loss_and_problem_is_compared():
    assert set(BY_TORCH) == {(loss.name, kind) for loss in LOSSES.values() for kind in loss.takes}


def test_every_parameter_of_a_loss_is_compared_on_every_problem_that_the_loss_fits():
    compared = {(re.sub("=.*", "", loss), kind) for loss, kind in WITH_PARAMETERS}
    assert compared == {
        (f"{loss.name}:{option}", kind)
        for loss in LOSSES.values()
        for option in loss.options
        for kind in loss.takes
        if loss.options[option].is_for(kind)
    }


@pytest.mark.parametrize(("loss", "kind"), WITH_PARAMETERS)
def test_a_parameter_changes_the_value(loss, kind):
    usual, own = (criterion_for(item, kind)(*some(kind)) for item in (loss.partition(":")[0], loss))
    assert not torch.equal(usual, own)


@pytest.mark.parametrize(("loss", "kind"), BY_TORCH | WITH_PARAMETERS)
def test_a_loss_and_its_gradient_are_torchs_own_to_the_last_bit_where_torch_has_it(loss, kind):
    def value_and_gradient(criterion):
        prediction, target = some(kind)
        if loss == "poisson-nll:log_input=no":
            prediction = prediction.detach().abs().requires_grad_()
        value = criterion(prediction, target)
        value.backward()
        return value.detach(), prediction.grad

    ours, expected = map(
        value_and_gradient, (criterion_for(loss, kind), (BY_TORCH | WITH_PARAMETERS)[loss, kind])
    )
    assert ours[0].shape == ()
    exact = {"rtol": 0, "atol": 0} if loss_named(loss.partition(":")[0]).aliases else {}
    torch.testing.assert_close(ours, expected, **exact)


WEIGHTS = {"multiclass": torch.linspace(0.5, 3, C), "binary": torch.tensor([0.5, 2.0])}


def of_samples(losses, y, kind):
    """Return the mean of the losses (N, ...) of samples, each with the weight of its class."""
    weights = WEIGHTS[kind][y.long()]
    return (losses.reshape(N, -1).mean(1) * weights).sum() / weights.sum()


WEIGHTED = {
    ("cross-entropy", "multiclass"): lambda z, y: nn.CrossEntropyLoss(WEIGHTS["multiclass"])(z, y),
    ("cross-entropy", "binary"): lambda z, y: nn.CrossEntropyLoss(WEIGHTS["binary"])(
        torch.cat((torch.zeros(N, 1), z), 1), y.long()
    ),
    ("bce-with-logits", "multiclass"): lambda z, y: of_samples(
        nn.BCEWithLogitsLoss(reduction="none")(z, one_hot(y)), y, "multiclass"
    ),
    ("bce-with-logits", "binary"): lambda z, y: nn.BCEWithLogitsLoss(pos_weight=torch.tensor(4.0))(
        z[:, 0], y
    ),
    ("nll", "multiclass"): lambda z, y: nn.NLLLoss(WEIGHTS["multiclass"])(z.log_softmax(1), y),
    ("focal", "multiclass"): lambda z, y: of_samples(
        -((1 - of_true(z, y)) ** 2) * of_true(z, y).log(), y, "multiclass"
    ),
    ("focal", "binary"): lambda z, y: of_samples(sigmoid_focal_loss(z[:, 0], y), y, "binary"),
    ("multi-margin", "multiclass"): lambda z, y: nn.MultiMarginLoss(weight=WEIGHTS["multiclass"])(
        z, y
    ),
    ("hinge", "binary"): lambda z, y: of_samples(
        (1 - signs(y) * z[:, 0]).clamp_min(0), y, "binary"
    ),
    ("soft-margin", "binary"): lambda z, y: of_samples(
        nn.SoftMarginLoss(reduction="none")(z[:, 0], signs(y)), y, "binary"
    ),
    ("brier", "multiclass"): lambda z, y: of_samples(
        ((z.softmax(1) - one_hot(y)) ** 2).sum(1), y, "multiclass"
    ),
    ("brier", "binary"): lambda z, y: of_samples((z[:, 0].sigmoid() - y) ** 2, y, "binary"),
    ("mse", "multiclass"): lambda z, y: of_samples(
        (z.softmax(1) - one_hot(y)) ** 2, y, "multiclass"
    ),
    ("mse", "binary"): lambda z, y: of_samples((z[:, 0].sigmoid() - y) ** 2, y, "binary"),
    ("l1", "multiclass"): lambda z, y: of_samples(
        (z.softmax(1) - one_hot(y)).abs(), y, "multiclass"
    ),
    ("l1", "binary"): lambda z, y: of_samples((z[:, 0].sigmoid() - y).abs(), y, "binary"),
}


@pytest.mark.parametrize(("loss", "kind"), [item for item in BY_TORCH if item[1] in WEIGHTS])
def test_weights_of_classes_are_those_of_torch_where_it_has_them_else_of_the_samples(loss, kind):
    prediction, target = some(kind)
    found = criterion_for(loss, kind, WEIGHTS[kind])(prediction, target)

    assert found.shape == ()
    assert torch.allclose(found, WEIGHTED[loss, kind](prediction, target), rtol=1e-6)
    assert not torch.equal(found, criterion_for(loss, kind)(prediction, target))


@pytest.mark.parametrize(("loss", "kind"), WEIGHTED)
def test_equal_weights_of_classes_change_nothing(loss, kind):
    prediction, target = some(kind)
    # torch divides multi-margin by the number of samples, and the others by the sum of the weights
    equal = torch.full_like(WEIGHTS[kind], 1 if loss == "multi-margin" else 3)
    assert torch.allclose(
        criterion_for(loss, kind, equal)(prediction, target),
        criterion_for(loss, kind)(prediction, target), rtol=1e-6,
    )  # fmt: skip


def probabilities(prediction, kind):
    z = prediction.detach().double()
    return z.softmax(1).numpy() if kind == "multiclass" else z[:, 0].sigmoid().numpy()


BY_SCIKIT_LEARN = {
    ("cross-entropy", "multiclass"): lambda z, y: log_loss(y, probabilities(z, "multiclass")),
    ("cross-entropy", "binary"): lambda z, y: log_loss(y, probabilities(z, "binary")),
    ("bce-with-logits", "binary"): lambda z, y: log_loss(y, probabilities(z, "binary")),
    ("nll", "multiclass"): lambda z, y: log_loss(y, probabilities(z, "multiclass")),
    ("soft-margin", "binary"): lambda z, y: log_loss(y, probabilities(z, "binary")),
    ("hinge", "binary"): lambda z, y: hinge_loss(y, z.detach()[:, 0]),
    ("brier", "multiclass"): lambda z, y: brier_score_loss(y, probabilities(z, "multiclass")),
    ("brier", "binary"): lambda z, y: brier_score_loss(y, probabilities(z, "binary")),
    ("quantile", "regression"): lambda z, y: mean_pinball_loss(y, z.detach()[:, 0], alpha=0.5),
    ("quantile:q=0.9", "regression"): lambda z, y: mean_pinball_loss(
        y, z.detach()[:, 0], alpha=0.9
    ),
    ("mse", "multiclass"): lambda z, y: mean_squared_error(
        one_hot(y), probabilities(z, "multiclass")
    ),
    ("mse", "regression"): lambda z, y: mean_squared_error(y, z.detach()[:, 0]),
    ("l1", "binary"): lambda z, y: mean_absolute_error(y, probabilities(z, "binary")),
    ("l1", "regression"): lambda z, y: mean_absolute_error(y, z.detach()[:, 0]),
}


@pytest.mark.parametrize(("loss", "kind"), BY_SCIKIT_LEARN)
def test_a_loss_is_scikit_learns_number_too(loss, kind):
    prediction, target = some(kind)
    found = float(criterion_for(loss, kind)(prediction, target).detach())

    assert found == pytest.approx(BY_SCIKIT_LEARN[loss, kind](prediction, target), abs=1e-6)


def test_half_of_the_poisson_deviance_differs_by_a_constant_of_the_target():
    torch.manual_seed(4)
    logarithms, counts = (
        torch.randn(2, N, 1).double(),
        torch.poisson(torch.full((N,), 3.0)).double(),
    )
    criterion = criterion_for("poisson-nll", "regression")
    values = [float(criterion(z, counts)) for z in logarithms]
    halves = [mean_poisson_deviance(counts, z[:, 0].exp()) / 2 for z in logarithms]

    assert values[0] - halves[0] == pytest.approx(values[1] - halves[1], abs=1e-6)
    assert values[0] != pytest.approx(values[1], abs=1e-3)


def test_log_probabilities_are_taken_as_they_are_by_the_loss_for_them():
    logits, target = some("multiclass")
    criterion = criterion_for("nll", "multiclass")
    torch.testing.assert_close(criterion(logits.log_softmax(1), target), criterion(logits, target))


@pytest.mark.parametrize("kind", ["multiclass", "binary"])
@pytest.mark.parametrize("gamma", ["0", "0.5", "2"])
def test_the_gradient_of_focal_is_finite_where_a_sample_is_certain(kind, gamma):
    outputs = torch.tensor([[200.0, 0.0]] if kind == "multiclass" else [[-200.0]])
    target = torch.zeros(1, dtype=torch.int64 if kind == "multiclass" else torch.float32)
    criterion_for(f"focal:gamma={gamma}", kind)(outputs.requires_grad_(), target).backward()
    assert torch.equal(outputs.grad, torch.zeros_like(outputs))


def test_log_cosh_is_exact_near_the_target_and_finite_far_from_it():
    errors = torch.tensor([0, 1e-4, -1e-4, 0.01, 0.5, 0.999, -1, 1.001, 20, 80]).requires_grad_()
    criterion = criterion_for("log-cosh", "regression")
    found = torch.stack([criterion(error[None], torch.zeros(1)) for error in errors])
    torch.testing.assert_close(found.double(), errors.double().cosh().log(), rtol=1e-6, atol=0)
    far = torch.tensor([[-1e30], [500.0], [0.0]]).requires_grad_()
    criterion(far, torch.zeros(3)).backward()
    assert (3 * far.grad).flatten().tolist() == [-1, 1, 0]


def test_an_option_of_another_kind_is_refused():
    with pytest.raises(WrongUse, match="focal:alpha is for binary and multilabel problems"):
        criterion_for("focal:alpha=0.5", "multiclass")


def test_an_unfit_loss_is_refused_with_its_reason():
    with pytest.raises(Refused, match="its target is a class index"):
        criterion_for("cross-entropy", "regression")


def test_the_usual_loss_of_a_problem_comes_first():
    kinds = ("multiclass", "binary", "multilabel", "regression")
    usual = [fitting_losses(kind)[0].name for kind in kinds]
    assert usual == ["cross-entropy", "bce-with-logits", "bce-with-logits", "mse"]
