"""What the screen knows of metrics is what the engine makes."""

import pytest
import torch

from tuitrain.catalog import METRICS, fitting_losses, problem
from tuitrain.core.errors import UnknownName
from tuitrain.engine import metrics
from tuitrain.view.state.metrics import comparable_metrics, named

OUTPUTS = {
    "multiclass": (torch.randn(9, 3), torch.arange(9) % 3),
    "binary": (torch.randn(9, 1), torch.arange(9) % 2),
    "regression": (torch.randn(9, 1), torch.randn(9)),
}
every_kind = pytest.mark.parametrize("kind", OUTPUTS)


@every_kind
def test_every_metric_of_a_validation_is_known_and_no_other(kind):
    found = metrics.metrics_of(kind, *OUTPUTS[kind])
    assert [metric.name for metric in METRICS[kind]] == list(found)


@every_kind
def test_the_first_one_is_monitored(kind):
    assert problem(kind).monitor == METRICS[kind][0].name


@every_kind
def test_of_every_fitting_loss_less_is_better(kind):
    losses = [
        comparable_metric
        for comparable_metric in comparable_metrics(problem(kind))
        if comparable_metric.part == "val_losses"
    ]
    assert [item.name for item in losses] == [loss.name for loss in fitting_losses(kind)]
    assert {item.sign for item in losses} == {-1}


@every_kind
def test_no_two_share_a_name(kind):
    names = [comparable_metric.name for comparable_metric in comparable_metrics(problem(kind))]
    assert len(set(names)) == len(names)


def test_a_measure_is_found_by_its_name_and_a_loss_by_pytorchs_too():
    multiclass = problem("multiclass")
    among = comparable_metrics(multiclass)
    assert named("auroc", among).part == "metrics"
    assert named("MSELoss", among, aliases=multiclass.aliases) == named("mse", among)
    with pytest.raises(UnknownName):
        named("MSELoss", among)  # the run alone says so
    with pytest.raises(UnknownName, match="did you mean 'accuracy'"):
        named("acuracy", among)
