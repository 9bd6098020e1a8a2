"""What the screen knows of metrics is what the engine makes."""

import pytest
import torch

from tuitrain.core.catalog import METRICS, fitting_losses, problem
from tuitrain.core.errors import UnknownName
from tuitrain.engine import metrics
from tuitrain.view import measures

OUTPUTS = {
    "multiclass": (torch.randn(9, 3), torch.arange(9) % 3),
    "binary": (torch.randn(9, 1), torch.arange(9) % 2),
    "regression": (torch.randn(9, 1), torch.randn(9)),
}
every_kind = pytest.mark.parametrize("kind", OUTPUTS)


@every_kind
def test_every_metric_of_a_validation_is_known_and_no_other(kind):
    judged = metrics.judged(kind, *OUTPUTS[kind])
    assert [each.name for each in METRICS[kind]] == list(judged)


@every_kind
def test_the_first_one_is_monitored(kind):
    assert problem(kind).monitor == METRICS[kind][0].name


@every_kind
def test_of_every_fitting_loss_less_is_better(kind):
    losses = [each for each in measures.measures(problem(kind)) if each.part == "val_losses"]
    assert [each.name for each in losses] == [loss.name for loss in fitting_losses(kind)]
    assert {each.sign for each in losses} == {-1}


@every_kind
def test_no_two_share_a_name(kind):
    names = [each.name for each in measures.measures(problem(kind))]
    assert len(set(names)) == len(names)


def test_a_measure_is_found_by_its_name_and_a_loss_by_pytorchs_too():
    among = measures.measures(problem("multiclass"))
    assert measures.named("auroc", among).part == "metrics"
    assert measures.named("MSELoss", among) == measures.named("mse", among)
    with pytest.raises(UnknownName, match="did you mean 'accuracy'"):
        measures.named("acuracy", among)
