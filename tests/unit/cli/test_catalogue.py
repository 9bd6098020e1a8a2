"""What the commands of the catalogue say."""

import json
import re

import pytest

from tests.conftest import Shell
from tuitrain import cli
from tuitrain.catalog import (
    CATALOG,
    EXPLAINED,
    LOSSES,
    METRICS,
    OPTIMIZERS,
    TASKS,
    fitting_losses,
)


@pytest.mark.parametrize(
    ("command", "entries"),
    [
        ("tasks", TASKS),
        ("losses", LOSSES),
        ("models", CATALOG["model"]),
        ("optimizers", OPTIMIZERS),
        ("metrics", EXPLAINED),
    ],
)
def test_a_command_lists_all_there_is_for_people_and_for_programs(command, entries, capsys):
    assert cli.run([command]) == 0
    said = capsys.readouterr().out
    assert cli.run([command, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)

    assert all(name in said for name in entries)
    assert [item["name"] for item in listed] == list(entries)
    assert all(item["summary"] for item in listed)


def test_every_metric_is_explained_with_its_direction(capsys):
    assert {metric.name for found in METRICS.values() for metric in found} == set(EXPLAINED)
    cli.run(["metrics", "--json"])
    listed = {load["name"]: load for load in json.loads(capsys.readouterr().out)}
    assert listed["rmse"]["direction"] == "min"
    assert listed["accuracy"]["kinds"] == ["multiclass", "binary"]


def test_the_metrics_stand_in_two_columns(capsys):
    cli.run(["metrics"])
    lines = capsys.readouterr().out.splitlines()
    assert len({len(re.match(r"\w* +", line)[0]) for line in lines}) == 1


def test_a_loss_is_taught_under_either_of_its_names(capsys):
    assert cli.run(["losses", "CrossEntropyLoss"]) == 0
    lesson = capsys.readouterr().out

    assert "−log softmax(z)[y]" in lesson
    assert "logits (N, C) float; class indices (N,) int64" in " ".join(lesson.split())
    assert "regression  does not fit" in lesson


def test_a_task_is_told_which_losses_fit_and_why_the_others_do_not(capsys):
    assert cli.run(["losses", "--task", "diabetes"]) == 0
    said = capsys.readouterr().out

    fitting, others = said.split("These do not:")
    assert fitting.index("mse") < fitting.index("l1")
    assert "its target is a class index" in others
    assert cli.run(["losses", "--task", "diabetes", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert {item["name"]: item["fits"] for item in listed} == {
        loss.name: loss in fitting_losses("regression") for loss in LOSSES.values()
    }
    assert "poisson-nll" in others
    assert "in their own unit" in others.partition("poisson-nll")[2], "whatever their kind"


def test_a_misspelt_loss_is_answered_with_the_nearest(capsys):
    assert cli.run(["losses", "cross-entrpy"]) == 2
    assert "did you mean 'cross-entropy'?" in capsys.readouterr().err


def test_devices_are_asked_of_torch_and_always_hold_the_cpu(tuitrain: Shell):
    listed = json.loads(tuitrain("devices", "--json").stdout)

    assert listed[-1]["name"] == "cpu"
    assert listed[-1]["memory_bytes"] > 0
    if len(listed) == 1:
        assert "There is no GPU here" in tuitrain("devices").stdout


def test_optimizers_are_listed_with_their_schedules_and_one_with_its_options(tuitrain: Shell):
    listed = tuitrain.here("optimizers").stdout
    assert "muon             Orthogonal steps" in listed
    assert "  step:size=10:gamma=0.1         is multiplied by gamma after every size" in listed
    assert "...:warmup=0" in listed
    assert ":momentum=0.95  momentum of the matrices" in tuitrain.here("optimizers", "Muon").stdout
    assert "evaluates the loss several times" in tuitrain.here("optimizers", "LBFGS", code=3).stderr


def test_models_are_listed_by_families_and_one_with_the_images_that_it_takes(tuitrain: Shell):
    listed = tuitrain.here("models").stdout
    assert "images of\n    at least 29x29 pixels\n      densenet121 densenet161" in listed
    shown = tuitrain.here("models", "vit_b_16").stdout
    assert "takes square images whose side is a multiple of 16 pixels" in shown


@pytest.mark.parametrize(
    "words", ["tasks", "losses", "losses --task moons", "models", "optimizers", "optimizers adamw",
              "metrics"]
)  # fmt: skip
def test_the_lists_fit_the_terminal(words: str, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.run(words.split()) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
