"""What the command line says of series and details of recorded runs."""

import csv
import json
import math
import re
import sqlite3
from pathlib import Path

import pytest

from tests.recorded import STEPS, in_home
from tuitrain import cli, connect
from tuitrain.core.detail import CONFUSION
from tuitrain.core.errors import UnknownName
from tuitrain.core.series import SHARES, Series
from tuitrain.store import reader
from tuitrain.store.opened import open_read_only

TEMPERATURE = Series("gpu-temperature", "°C")


@pytest.fixture
def said(tmp_path, capsys):
    """Run a command line in the home and return what it prints; it must succeed."""

    def say(*arguments):
        assert cli.run(["--home", str(tmp_path), *arguments]) == 0
        return capsys.readouterr().out

    return say


@pytest.fixture(autouse=True)
def runs(tmp_path):
    """`one` went back from epoch 4 to epoch 2 and has a spike there; `two` has larger steps."""
    one = in_home(tmp_path, "one")
    one.trains(4)
    one.measures(TEMPERATURE, lambda step: 999.0 if step > 2 * STEPS else 40.0 + step)
    one.goes_back(2, "cross-entropy")
    one.trains(2)
    one.measures(Series("back"), lambda _: 1.0, every=4 * STEPS)
    one.details(CONFUSION, {"counts": [[7] * 10] * 10})
    one.finishes()
    two = in_home(tmp_path, "two", task="diabetes")
    two.trains(3)
    two.measures(TEMPERATURE, lambda step: math.nan if step == 5 else 20.0)
    two.measures(SHARES["data"], lambda _: 0.25, every=STEPS)
    two.finishes()


@pytest.fixture
def statements(monkeypatch) -> list[str]:
    """The statements that are run on records."""
    run: list[str] = []

    def opened(path: Path) -> sqlite3.Connection:
        connection = open_read_only(path)
        connection.set_trace_callback(run.append)
        return connection

    monkeypatch.setattr(reader, "open_read_only", opened)
    return run


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_series_are_read_for_a_list_only_where_it_has_them(said, statements, options):
    said("ls", *options)
    values = [text for text in statements if re.search(r"\b(measured|bucket)\b", text)]
    assert bool(values) == bool(options)
    assert options or len(statements) <= 2 * 13, "of two runs"


def test_show_has_the_series_of_the_lineage_alone(said):
    one = json.loads(said("show", "one", "--json"))
    assert one["series"] == [
        {"name": "lr", "last": 0.001, "min": 0.001, "max": 0.001, "unit": ""},
        {"name": "gpu-temperature", "last": 86.0, "min": 41.0, "max": 86.0, "unit": "°C"},
        {"name": "back", "last": 1.0, "min": 1.0, "max": 1.0, "unit": ""},
    ]
    assert one["timings"] == {}
    assert json.loads(said("show", "two", "--json"))["timings"] == {"data": 0.25}


def test_any_series_has_a_chart(said):
    text = said("plot", "one", "--metric", "gpu-temperature", "--width", "60")
    first, *chart, dashed = text.splitlines()
    assert dashed.startswith("dashed: left behind")
    assert first == "one: digits, gpu-temperature 86 °C, 41 to 86, finished"
    assert len(chart) == 20
    numbers = [line.split("┤")[0].strip() for line in chart if "┤" in line]
    assert all(float(number) <= 100 for number in numbers if number), "the axis knows no 999"
    first, *chart = said("plot", "two", "--metric", "gpu-temperature").splitlines()
    assert "×" in "".join(chart), "a value that is not finite is marked"


def test_any_series_that_runs_share_is_compared_by_epoch_whatever_they_learn(said):
    text = said("compare", "one", "two", "--metric", "gpu-temperature", "--width", "70")
    lines = [line.split() for line in text.splitlines()]
    assert ["gpu-temperature", "°C", "86", "20"] in lines
    assert ["highest", "86", "20"] in lines
    comparison = json.loads(said("compare", "one", "two", "--metric", "gpu-temperature", "--json"))
    assert comparison["series"] == [
        {"name": "gpu-temperature", "unit": "°C", "last": [86.0, 20.0], "min": [41.0, 20.0],
         "max": [86.0, 20.0]}
    ]  # fmt: skip


def test_the_best_epochs_confusion_matrix_is_shown_with_its_classes(said):
    lines = said("show", "one").splitlines()
    at = lines.index("  epoch 4: true classes down, predicted ones across")
    assert lines[at + 1].split() == [str(digit) for digit in range(10)]
    assert lines[at + 10].split() == ["8", *["7"] * 10]
    assert "true classes" not in said("show", "two")


def test_tables_have_the_values_of_the_lineage(said, tmp_path):
    said("export", "one", "--format", "csv", "--out", str(tmp_path / "out"))
    with (tmp_path / "out" / "series.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = [int(row["step"]) for row in rows if row["name"] == "gpu-temperature"]
    assert steps == list(range(1, 2 * STEPS + 1))
    assert rows[0] == {
        "take": "1", "step": "1", "name": "gpu-temperature", "value": "41.0", "unit": "°C",
    }  # fmt: skip
    said("export", "two", "--format", "jsonl", "--out", str(tmp_path / "two.jsonl"))
    found = [json.loads(line) for line in (tmp_path / "two.jsonl").read_text().splitlines()]
    values = [row["value"] for row in found if row["kind"] == "series"]
    assert (values[3], values[4]) == (20.0, "nan")


def test_a_program_reads_both(tmp_path):
    run = connect("one", home=tmp_path)
    steps, values = run.series("gpu-temperature")
    assert (steps[0], steps[-1], max(values)) == (1, 2 * STEPS, 86.0)
    with pytest.raises(UnknownName, match="did you mean 'gpu-temperature'"):
        run.series("gpu-temprature")
    assert run.detail("confusion") == run.detail("confusion", "best") == {"counts": [[7] * 10] * 10}
    assert run.detail("confusion", 3) is None
    assert run.detail("confusion", 99) is None
