"""What a run predicts, beside what it recorded of the same weights."""

import csv
import io
import json
import math
import shutil
from pathlib import Path

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
    rows = json.loads(tuitrain("predict", "a", "--json", "--which", "last").stdout)["predictions"]
    assert min(row["target"] for row in rows) > 20, "the progress of the disease, unstandardised"
    errors = [(row["prediction"] - row["target"]) ** 2 for row in rows]
    rmse = math.sqrt(sum(errors) / len(errors))
    assert rmse == pytest.approx(tuitrain.show("a")["metrics"]["rmse"], rel=1e-5)


def test_new_rows_of_a_table_are_predicted_as_the_run_reads_its_own(tuitrain: Shell, tmp_path):
    towns = ("Leith", "Govan", "Troon")
    lines = [f"{n * 37 % 101},{towns[n % 3]},{n * n % 997}" for n in range(90)]
    table = tmp_path / "houses.csv"
    table.write_text("\n".join(["area,town,price", *lines]) + "\n")
    tuitrain("run", str(table), "--target", "price", "--epochs", "2", "--plain", "--name", "a")
    known = rows_of(tuitrain("predict", "a").stdout)

    new = tmp_path / "new.csv"
    new.write_text("\n".join(["town,area", *(f"{line.split(',')[1]},{line.split(',')[0]}"
                                             for line in lines)]) + "\n")  # fmt: skip
    found = [row["prediction"] for row in rows_of(tuitrain("predict", "a", str(new)).stdout)]
    assert len(found) == 90
    assert {row["prediction"] for row in known} <= set(found), "the same rows, the same numbers"

    new.write_text("area\n1\n")
    said = tuitrain("predict", "a", str(new), code=2).stderr
    assert "new.csv has no column 'town', which the model needs" in said


@pytest.fixture
def houses(tuitrain: Shell, tmp_path: Path) -> Path:
    """The table of run a."""
    towns = ("Leith", "Govan", "Troon")
    lines = [f"H{n},{n * 37 % 101},{towns[n % 3]},{n * n % 997}" for n in range(90)]
    table = tmp_path / "houses.csv"
    table.write_text("\n".join(["house,area,town,price", *lines]) + "\n")
    tuitrain("run", str(table), "--target", "price", "--epochs", "1", "--plain", "--name", "a")
    return table


def test_what_the_model_cannot_use_of_new_rows_is_said(tuitrain: Shell, houses: Path):
    new = houses.with_name("new.csv")
    new.write_text("area,town\n1,Leith\n,Skye\nbig,\n4\n5,Mull\n6,Skye\n")
    done = tuitrain("predict", "a", str(new))
    assert [row["line"] for row in rows_of(done.stdout)] == ["2", "3", "4", "6", "7"]
    assert done.stderr.splitlines() == [
        "tuitrain: 1 row has fewer cells than the header, and is left out: line 5",
        "tuitrain: area: 1 missing, 1 not a number ('big'): taken as the median",
        "tuitrain: town: 1 missing: a category of their own; 4 with a value that training never "
        "saw: 'Skye', '(missing)', 'Mull'",
    ]
    said = json.loads(tuitrain("predict", "a", str(new), "--json").stdout)
    assert [f"tuitrain: {note}" for note in said["notes"]] == done.stderr.splitlines()
    assert len(said["predictions"]) == 5


def test_rows_are_named_by_their_lines_and_ids_and_several_tables_by_their_files(
    tuitrain: Shell, houses: Path
):
    lines = dict(enumerate(houses.read_text().splitlines(), start=1))
    for row in rows_of(tuitrain("predict", "a").stdout):
        house, _, _, price = lines[int(row["line"])].split(",")
        assert (row["house"], float(row["target"])) == (
            house,
            pytest.approx(float(price), rel=1e-4),
        )
    other = shutil.copy(houses, houses.with_name("other.csv"))
    rows = rows_of(tuitrain("predict", "a", str(houses), str(other)).stdout)
    assert [row["file"] for row in rows] == [str(houses)] * 90 + [str(other)] * 90
    assert [row["house"] for row in rows[88:92]] == ["H88", "H89", "H0", "H1"]


def test_what_cannot_be_predicted_is_one_sentence(tuitrain: Shell, tmp_path):
    tuitrain("run", "moons", "--epochs", "1", "--plain", "--name", "a")
    missing = tuitrain("predict", "a", str(tmp_path / "none.csv"), code=2).stderr
    assert "there is no file or folder" in missing
    refused = tuitrain("predict", "a", str(tmp_path), code=3).stderr
    assert refused == (
        f"tuitrain: cannot read {tmp_path.name} for moons: runs of a table take other tables, and "
        "those of a folder of images other images; without DATA, it predicts its validation data\n"
    )
