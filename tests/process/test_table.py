"""Runs of a user's own table: killed, resumed, replayed, forked, and shown."""

import random
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import PROJECT, Shell, until
from tuitrain.connection.follower import Follower
from tuitrain.engine.tasks.table import read
from tuitrain.trainer import supervisor

EPOCHS = ("--target", "Species", "--epochs", "8", "--seed", "1")
ISLANDS = {"Adelie": "Torgersen", "Chinstrap": "Dream", "Gentoo": "Biscoe"}


def penguins(file: Path, count: int = 200) -> Path:
    """Write a table with ids, gaps, dates and text, from whose lengths the species follows."""
    draw = random.Random(0)
    lines = ["Sample Number,Species,Region,Island,Date Egg,Bill (mm),Flipper (mm),Sex,Comments"]
    for number in range(1, count + 1):
        species, bill, flipper = draw.choice(
            [("Adelie", 38, 190), ("Chinstrap", 49, 196), ("Gentoo", 47, 217)]
        )
        island = ISLANDS[species] if draw.random() < 0.7 else "Dream"
        row = [
            number, species, "Anvers", island, f"2007-11-{draw.randint(1, 30):02}",
            "" if number % 50 == 0 else f"{draw.gauss(bill, 2):.1f}",
            f"{draw.gauss(flipper, 5):.0f}", draw.choice(["MALE", "FEMALE", ""]),
            "not observed" if number % 9 == 0 else "",
        ]  # fmt: skip
        lines.append(",".join(map(str, row)))
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.fixture
def table(tmp_path: Path) -> str:
    return str(penguins(tmp_path / "penguins.csv"))


def test_a_table_is_explained_before_it_trains(threaded: Shell, table: str):
    said = threaded("run", table, *EPOCHS, "--epochs", "30", "--plain", "--name", "a").stdout
    assert "\n\n" not in said, "a look that finds nothing new prints nothing"
    before, _, _ = said.partition("epoch  1/30")
    shown = threaded.show("a")

    for expected in (
        "penguins.csv: 200 rows, 9 columns",
        "target 'Species': multiclass, since it is text, of 3 values",
        "Sample Number  dropped   it counts the rows",
        "Region         dropped   one value only: Anvers",
        "Date Egg       date      seconds, and the time of year, week and day",
        "Bill (mm)      number    4 missing: the median, and a bit that says so; standardised",
    ):
        assert expected in before
        assert any(expected in note for note in shown["data_notes"])
        assert expected in threaded("show", "a").stdout
    assert shown["problem"]["classes"] == ["Adelie", "Chinstrap", "Gentoo"]
    assert (shown["kind"], shown["model"]) == ("multiclass", "mlp:hidden=256-128")
    assert shown["metrics"]["accuracy"] >= 0.9


def test_a_killed_run_of_a_table_goes_on_to_the_same_weights_and_so_does_its_replay(
    tuitrain: Shell, table: str
):
    tuitrain("run", table, *EPOCHS, "--plain", "--name", "calm")
    tuitrain("run", table, *EPOCHS, "--detach", "--paused", "--name", "a")
    tuitrain("ctl", "a", "step", "5")
    run = tuitrain.client("a")
    supervisor.kill(run.paths)
    until(lambda: not run.look(run.record.end()).alive, "it is dead")
    assert tuitrain.show("a")["state"] == "crashed"
    said = tuitrain("resume", "a", "--plain").stdout
    assert "column" not in said, "its table was said at its start"

    weights = tuitrain.show("calm")["weights_sha256"]
    assert tuitrain.show("a")["weights_sha256"] == weights
    tuitrain("replay", "a", "--plain")
    assert tuitrain.show("a-replay")["weights_sha256"] == weights


def test_a_table_that_has_changed_is_refused_wherever_a_run_goes_on(threaded: Shell, table: str):
    threaded("run", table, *EPOCHS, "--plain", "--name", "a")
    original, file = Path(table).read_text(), Path(table)
    file.write_text(original.replace("MALE", "MALE "))
    for command in (
        ("resume", "a", "--epochs", "9"),
        ("replay", "a"),
        ("fork", "a", "--epoch", "8", "--epochs", "9"),
    ):
        said = threaded(*command, "--plain", code=3).stderr
        assert "penguins.csv has changed since the run began with it" in said
    assert [paths.name for paths in (threaded.home / "runs").iterdir()] == ["a"], "nothing is left"

    assert (
        "penguins.csv is your own" in threaded("export", "a", "--format", "script", code=3).stderr
    )

    file.unlink()
    assert "there is no file" in threaded("replay", "a", "--plain", code=2).stderr
    file.write_text(original)
    threaded("resume", "a", "--epochs", "9", "--plain")
    threaded("fork", "a", "--epoch", "8", "--epochs", "9", "--plain")
    assert threaded.show("a-fork")["weights_sha256"] == threaded.show("a")["weights_sha256"]
    said = threaded("fork", "a", "--epoch", "8", "--target", "Sex", code=2).stderr
    assert "its --target stays Species" in said


def as_earlier_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill rows that are too short, instead of leaving them out."""

    def none_is_short(
        _content: object, _header: object, rows: int
    ) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(2, rows + 2), np.zeros(rows, dtype=bool)

    monkeypatch.setattr(read, "row_lines", none_is_short)


def test_a_run_of_a_version_that_read_more_rows_is_told_so_where_it_goes_on(
    threaded: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "short.csv"
    rows = [f"{row % 2},{'' if row % 9 == 0 else row * row % 17}" for row in range(100)]
    file.write_text("\n".join(["y,a", *rows, "1"]) + "\n")
    with monkeypatch.context() as earlier:
        as_earlier_versions(earlier)
        threaded("run", str(file), "--epochs", "2", "--plain", "--name", "a")
    assert "data was 81 samples" in threaded("replay", "a", "--plain", code=1).stdout
    for command in (
        ("fork", "a", "--epoch", "2", "--epochs", "3"),
        ("resume", "a", "--epochs", "3"),
    ):
        said = threaded(*command, "--plain").stdout
        assert "data was 81 samples to train, 20 to validate and is 80 samples to train" in said


def test_a_run_whose_data_make_another_model_now_is_one_sentence(
    threaded: Shell, table: str, monkeypatch: pytest.MonkeyPatch
):
    file = Path(table)
    file.write_text(file.read_text() + "201,Gentoo\n")
    with monkeypatch.context() as earlier:
        as_earlier_versions(earlier)
        threaded("run", table, *EPOCHS, "--plain", "--name", "a")
    said = threaded("resume", "a", "--epochs", "9", "--plain", code=3).stderr
    assert "the weights of its checkpoint do not fit any more" in said


def test_the_example_of_penguins_is_learned_and_names_the_libraries_that_read_it(threaded: Shell):
    file = str(PROJECT / "examples" / "penguins.csv")
    threaded("run", file, "--target", "species", "--seed", "1", "--plain", "--name", "a")
    assert threaded.show("a")["metrics"]["accuracy"] >= 0.97
    started = Follower(threaded.client("a")).look().started
    assert started is not None
    assert {"pandas", "scikit-learn"} <= set(started.environment)


def test_a_column_that_is_missing_is_refused_before_a_trainer_is_started(
    threaded: Shell, table: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(supervisor, "start", None)
    done = threaded("run", table, "--target", "species", "--plain", code=2)
    assert done.stdout == ""
    assert done.stderr == (
        "tuitrain: no column 'species'; columns: Sample Number, Species, Region, Island, Date Egg, "
        "Bill (mm), Flipper (mm), Sex, Comments; did you mean 'Species'?\n"
    )
    done = threaded("run", table, *EPOCHS, "--drop", "Beak", "--plain", code=2)
    assert "no column 'Beak'; columns: " in done.stderr


def test_a_refused_run_says_its_reason_and_not_what_it_trained(threaded: Shell, table: str):
    done = threaded("run", table, "--target", "Region", "--plain", code=2)
    assert "the target 'Region' has one value only, Anvers" in done.stderr
    assert "failed" not in done.stdout


def test_what_is_no_table_leaves_nothing_behind(threaded: Shell, tmp_path: Path):
    file = tmp_path / "empty.csv"
    file.write_text("")
    said = threaded("run", str(file), "--plain", code=2).stderr
    assert said.strip() == (
        "tuitrain: empty.csv is empty: its first line must have the names of the columns"
    )
    file.write_text("a,b\n1,2\n")
    assert "--target one of: a, b" in threaded("run", str(file), "--detach", code=2).stderr
    assert not list((threaded.home / "runs").glob("*"))
