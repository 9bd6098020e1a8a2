"""What a run predicts, beside what it recorded of the same weights."""

import csv
import io
import json
import math

import pytest

from tests.conftest import Shell


@pytest.fixture
def tuitrain(threaded: Shell) -> Shell:
    """No test here needs a trainer in a process of its own."""
    return threaded


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_best_checkpoint_predicts_the_validation_as_it_was_recorded(tuitrain: Shell):
    tuitrain("run", "moons", "--epochs", "4", "--plain", "--name", "a")
    rows = rows_of(tuitrain("predict", "a").stdout)
    right = sum(row["target"] == row["prediction"] for row in rows)
    assert right / len(rows) == pytest.approx(tuitrain.show("a")["best"]["value"])
    for row in rows:
        chances = [float(row["p(upper)"]), float(row["p(lower)"])]
        assert sum(chances) == pytest.approx(1)
        assert row["prediction"] == ("lower" if chances[1] > chances[0] else "upper")


def test_numbers_are_predicted_in_the_unit_of_the_targets(tuitrain: Shell):
    tuitrain("run", "diabetes", "--epochs", "3", "--plain", "--name", "a")
    rows = json.loads(tuitrain("predict", "a", "--json", "--which", "last").stdout)
    assert min(row["target"] for row in rows) > 20, "the progress of the disease, unstandardised"
    errors = [(row["prediction"] - row["target"]) ** 2 for row in rows]
    rmse = math.sqrt(sum(errors) / len(errors))
    assert rmse == pytest.approx(tuitrain.show("a")["metrics"]["rmse"], rel=1e-5)


def test_what_cannot_be_predicted_is_one_sentence(tuitrain: Shell, tmp_path):
    tuitrain("run", "moons", "--epochs", "1", "--plain", "--name", "a")
    missing = tuitrain("predict", "a", str(tmp_path / "none.csv"), code=2).stderr
    assert "there is no file or folder" in missing
    refused = tuitrain("predict", "a", str(tmp_path), code=3).stderr
    assert (
        refused
        == "tuitrain: moons reads no other data: without DATA, its validation is predicted\n"
    )
