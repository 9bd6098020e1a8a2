"""What `show` prints for people."""

from dataclasses import replace

import pytest

from tests.recorded import in_home, started
from tuitrain.catalog import TASKS
from tuitrain.core.detail import Confusion
from tuitrain.core.events import StartupReached
from tuitrain.core.problem import Card
from tuitrain.view.panel.vitals import vitals
from tuitrain.view.picture import plain
from tuitrain.view.text import report, report_lines
from tuitrain.view.text.cells import width_of


@pytest.fixture
def run(home):
    return in_home(home, "a", batch_size=4_096, epochs=46)


def test_counts_have_separators_and_columns_stay_columns(run):
    run.trains(1)
    run.changes("lr", 0.5, "w")
    run.trains(44)
    run.swaps("mse", "v")
    lines = report_lines.as_lines(run.now())
    assert f"  {'about':12} {TASKS['digits'].summary}" in lines
    assert any(line.endswith("batch 4,096") for line in lines)
    assert any(line.endswith("1,035 of 1,058") for line in lines if "step" in line)
    saved = lines[lines.index("  checkpoints") + 1 :]
    assert [line.split()[1] for line in saved] == ["23", "1,035"]
    assert len({line.index("epoch") for line in saved}) == 1
    assert len({line.index("before") for line in saved}) == 1


def test_a_run_that_starts_says_what_it_waits_for(run):
    run.records(StartupReached("waiting for 2 hosts at ash:29400"))
    assert "  state        starting: waiting for 2 hosts at ash:29400" in report_lines.as_lines(
        run.now()
    )


@pytest.mark.parametrize(("ranks", "batch"), [
    ({"nproc": 2}, "batch 64 on each of 2 ranks, 128 together"),
    ({"nproc": 2, "accumulate": 3}, "batch 64 × 3 on each of 2 ranks, 384 together"),
    ({"nproc": None}, "batch 64 on each rank"),
    ({}, "batch 64"),
])  # fmt: skip
def test_a_run_that_starts_says_what_its_ranks_will_train_on(home, ranks, batch):
    run = in_home(home, "a", batch_size=64, **ranks)
    run.records(StartupReached("starting the ranks"))
    lines = report_lines.as_lines(run.now())
    assert f"  {'optimizer':12} adam, lr 0.001, {batch}" in lines


def test_a_metric_has_its_unit_and_the_data_their_origin(home, run):
    begun = started("diabetes")
    metrics = tuple(replace(metric, unit="kg" * (metric.name != "r2"))
                    for metric in begun.problem.metrics)  # fmt: skip
    run.records(
        replace(
            begun, problem=replace(begun.problem, metrics=metrics), card=Card(origin="scales.csv")
        )
    )
    run.trains(1, metrics={"rmse": 3.25, "mae": 2.5, "r2": 0.5})
    lines = report_lines.as_lines(run.now())
    assert f"  {'data from':12} scales.csv" in lines
    assert f"  {'rmse':12} 3.250 kg" in lines
    assert f"  {'r2':12} 0.5000" in lines
    assert f"  {'best':12} rmse 3.250 kg (epoch 1)" in lines
    assert "3.250 kg" in plain(vitals(run.now(), 120))
    assert "rmse 3.250 kg (epoch 1)" in report_lines.table([run.now()])[1]
    shown = report.as_json(run.now(), full=False)
    assert shown["problem"]["metrics"][0] == {"name": "rmse", "direction": "min", "unit": "kg"}
    assert shown["data_origin"] == "scales.csv"


def test_wide_names_of_classes_keep_the_columns_of_a_confusion_matrix():
    confusion = Confusion(counts=((3, 1_200), (0, 4)))
    lines = report_lines.confusion_lines(confusion, ["猫", "いぬ"])
    assert len({width_of(line) for line in lines}) == 1
