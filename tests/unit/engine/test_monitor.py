import math

import pytest

from tuitrain import catalog
from tuitrain.core.errors import UnknownName
from tuitrain.core.problem import Problem
from tuitrain.engine.monitor import Monitor, Monitored, monitored

PROBLEM = catalog.problem("regression")


def test_nan_is_never_the_best():
    monitor = Monitor(Monitored("rmse", -1))
    values = [monitor.improved_by({"rmse": value}, {}) for value in (math.nan, 2.0, 3.0, 1.0)]
    assert values == [False, True, False, True]


def test_an_infinite_value_or_one_beside_a_loss_that_is_not_finite_is_never_the_best():
    monitor = Monitor(Monitored("r2", 1))
    for value, loss in [(math.inf, 1.0), (0.5, math.nan), (0.6, math.inf)]:
        assert not monitor.improved_by({"r2": value}, {}, loss)
    assert monitor.improved_by({"r2": 0.1}, {}, 1.0)


def test_patience_counts_the_epochs_without_a_better_monitor():
    monitor = Monitor(Monitored("accuracy", 1), patience=2)
    for value, is_out in [(0.5, False), (0.4, False), (0.6, False), (0.6, False), (0.1, True)]:
        monitor.improved_by({"accuracy": value}, {})
        assert monitor.is_out_of_patience == is_out


def test_the_first_metric_is_monitored_unless_another_is_named():
    assert monitored(None, PROBLEM, "mse") == Monitored("rmse", -1)
    assert monitored("r2", PROBLEM, "mse") == Monitored("r2", 1)
    assert monitored("l1", PROBLEM, "mse") == Monitored("l1", -1, is_loss=True)


def test_the_validation_loss_is_that_of_the_first_loss_whatever_the_run_swaps_to():
    assert monitored("val_loss", PROBLEM, "l1") == Monitored("l1", -1, is_loss=True)
    assert monitored(None, Problem(), "own") == Monitored("own", -1, is_loss=True)


def test_an_unknown_monitor_is_named_with_those_that_there_are():
    with pytest.raises(UnknownName, match="no metric 'rsme'; did you mean 'rmse'"):
        monitored("rsme", PROBLEM, "mse")


def test_a_loss_is_monitored_by_its_validation_value():
    monitor = Monitor(Monitored("l1", -1, is_loss=True))
    assert monitor.improved_by({"rmse": 9.0}, {"l1": 2.0})
    assert not monitor.improved_by({"rmse": 1.0}, {"l1": 3.0})
