"""What the tasks' defaults reach, beside what scikit-learn's plain models do on the same split."""

from typing import Any

import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score

from tuitrain.catalog import new_spec
from tuitrain.core.events import EpochEnded
from tuitrain.engine.build import build
from tuitrain.engine.loop import train
from tuitrain.engine.steering import Steering

SEEDS = (0, 1, 2)


def last_epoch(task: str, seed: int, **settings: Any) -> tuple[EpochEnded, object]:
    torch.set_num_threads(1)
    run = build(new_spec(task, seed=seed, device="cpu", **settings))
    ends = [event for event in train(run, Steering(run)) if isinstance(event, EpochEnded)]
    return ends[-1], run.data


@pytest.mark.parametrize("seed", SEEDS)
def test_digits_reach_96_percent(seed):
    ended, _ = last_epoch("digits", seed)
    assert ended.metrics["accuracy"] >= 0.96


@pytest.mark.parametrize("seed", SEEDS)
def test_breast_cancer_is_as_good_as_logistic_regression(seed):
    ended, data = last_epoch("breast-cancer", seed)
    plain = LogisticRegression(max_iter=1000).fit(data.train.inputs, data.train.targets)
    theirs = plain.score(data.val.inputs, data.val.targets)
    assert ended.metrics["accuracy"] >= theirs - 0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_diabetes_is_as_good_as_ridge_regression(seed):
    ended, data = last_epoch("diabetes", seed)
    plain = Ridge().fit(data.train.inputs, data.train.targets)
    theirs = r2_score(data.val.targets, plain.predict(data.val.inputs))
    assert ended.metrics["r2"] >= theirs - 0.03


@pytest.mark.parametrize("task", ["moons", "circles", "spirals"])
def test_a_toy_of_two_classes_is_learned(task):
    ended, _ = last_epoch(task, 0)
    assert ended.metrics["accuracy"] >= 0.95


def test_outliers_pull_the_curve_of_mse_away_more_than_that_of_l1():
    errors = {loss: last_epoch("sine", 0, loss=loss)[0].metrics["mae"] for loss in ("mse", "l1")}
    assert errors["l1"] < errors["mse"]
