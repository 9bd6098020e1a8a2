"""What the screen knows of metrics is what the engine makes."""

import pytest
import torch

from tuitrain.catalog import METRICS, fitting_losses, metrics_for, problem
from tuitrain.core.errors import UnknownName
from tuitrain.engine import metrics
from tuitrain.view.state.metrics import comparable_metrics, named

OUTPUTS = {
    "multiclass": (torch.randn(9, 6), torch.arange(9) % 6),
    "binary": (torch.randn(9, 1), torch.arange(9) % 2),
    "multilabel": (torch.randn(9, 3), torch.randint(2, (9, 3)).float()),
    "regression": (torch.randn(9, 1), torch.randn(9)),
}
every_kind = pytest.mark.parametrize("kind", OUTPUTS)


@every_kind
def test_every_metric_of_a_validation_is_known_and_no_other(kind):
    found = metrics.metrics_of(kind, *OUTPUTS[kind])
    assert [metric.name for metric in METRICS[kind]] == list(found)


def test_the_five_likeliest_are_counted_of_more_than_five_classes_only():
    few = [metric.name for metric in metrics_for("multiclass", 5)]
    assert few == list(metrics.metrics_of("multiclass", torch.randn(9, 5), torch.arange(9) % 5))
    many = {metric.name for metric in metrics_for("multiclass", 6)}
    assert many - set(few) == {"top5_accuracy"}


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


def test_a_metric_is_found_by_its_name_and_a_loss_by_pytorchs_too():
    multiclass = problem("multiclass")
    among = comparable_metrics(multiclass)
    assert named("auroc", among).part == "metrics"
    assert named("MSELoss", among, aliases=multiclass.aliases) == named("mse", among)
    with pytest.raises(UnknownName):
        named("MSELoss", among)  # the run alone says so
    with pytest.raises(UnknownName, match="did you mean 'accuracy'"):
        named("acuracy", among)
