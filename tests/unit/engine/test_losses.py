"""Every loss on every kind of problem that it fits: torch's own number, and scikit-learn's."""

import re

import pytest
import torch
from sklearn.metrics import log_loss, mean_absolute_error, mean_squared_error
from torch import nn
from torch.nn import functional

from tuitrain.catalog import LOSSES, fitting_losses, loss_named
from tuitrain.core.errors import Refused
from tuitrain.engine.losses import criterion_for

N, C = 200, 7


def some(kind):
    """Return a prediction that wants a gradient, and a target, for a problem of that kind."""
    torch.manual_seed(3)
    prediction = (3 * torch.randn(N, C if kind == "multiclass" else 1)).requires_grad_()
    target = {
        "multiclass": torch.randint(C, (N,)),
        "binary": torch.randint(2, (N,)).float(),
        "regression": torch.randn(N),
    }[kind]
    return prediction, target


def one_hot(target):
    return functional.one_hot(target, C).float()


BY_TORCH = {
    ("cross-entropy", "multiclass"): lambda z, y: nn.CrossEntropyLoss()(z, y),
    ("cross-entropy", "binary"): lambda z, y: nn.CrossEntropyLoss()(
        torch.cat((torch.zeros(N, 1), z), 1), y.long()
    ),
    ("bce-with-logits", "multiclass"): lambda z, y: nn.BCEWithLogitsLoss()(z, one_hot(y)),
    ("bce-with-logits", "binary"): lambda z, y: nn.BCEWithLogitsLoss()(z[:, 0], y),
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
    }


@pytest.mark.parametrize(("loss", "kind"), WITH_PARAMETERS)
def test_a_parameter_changes_the_value(loss, kind):
    usual, own = (criterion_for(item, kind)(*some(kind)) for item in (loss.partition(":")[0], loss))
    assert not torch.equal(usual, own)


@pytest.mark.parametrize(("loss", "kind"), BY_TORCH | WITH_PARAMETERS)
def test_a_loss_and_its_gradient_are_torchs_own_to_the_last_bit_where_torch_has_it(loss, kind):
    def value_and_gradient(criterion):
        prediction, target = some(kind)
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
    ("mse", "multiclass"): lambda z, y: of_samples(
        (z.softmax(1) - one_hot(y)) ** 2, y, "multiclass"
    ),
    ("mse", "binary"): lambda z, y: of_samples((z[:, 0].sigmoid() - y) ** 2, y, "binary"),
    ("l1", "multiclass"): lambda z, y: of_samples(
        (z.softmax(1) - one_hot(y)).abs(), y, "multiclass"
    ),
    ("l1", "binary"): lambda z, y: of_samples((z[:, 0].sigmoid() - y).abs(), y, "binary"),
}


@pytest.mark.parametrize(("loss", "kind"), [item for item in BY_TORCH if item[1] != "regression"])
def test_weights_of_classes_are_those_of_torch_where_it_has_them_else_of_the_samples(loss, kind):
    prediction, target = some(kind)
    found = criterion_for(loss, kind, WEIGHTS[kind])(prediction, target)

    assert found.shape == ()
    assert torch.allclose(found, WEIGHTED[loss, kind](prediction, target), rtol=1e-6)
    assert not torch.equal(found, criterion_for(loss, kind)(prediction, target))


@pytest.mark.parametrize(("loss", "kind"), WEIGHTED)
def test_equal_weights_of_classes_change_nothing(loss, kind):
    prediction, target = some(kind)
    equal = torch.full_like(WEIGHTS[kind], 3)
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


def test_an_unfit_loss_is_refused_with_its_reason():
    with pytest.raises(Refused, match="its target is a class index"):
        criterion_for("cross-entropy", "regression")


def test_the_usual_loss_of_a_problem_comes_first():
    usual = {kind: fitting_losses(kind)[0].name for kind in ("multiclass", "binary", "regression")}
    assert usual == {"multiclass": "cross-entropy", "binary": "bce-with-logits",
                     "regression": "mse"}  # fmt: skip
