import os
from pathlib import Path

import pytest

from tuitrain.core.errors import NoSuchRun, TuitrainError
from tuitrain.store.paths import find_run, home_folder, make_folder, runs_in


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def made(home: Path, *names: str) -> None:
    """Make runs, the last one newest."""
    for age, name in enumerate(names):
        folder = home / "runs" / name
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text("{}")
        os.utime(folder / "spec.json", (age, age))


def test_a_home_that_is_not_there_has_no_runs(home):
    assert runs_in(home) == []
    assert not home.exists()


def test_runs_are_listed_newest_first(home):
    made(home, "b", "c", "a")
    assert [run.name for run in runs_in(home)] == ["a", "c", "b"]


def test_a_folder_is_a_run_once_it_has_a_spec(home):
    made(home, "a")
    (home / "runs" / "half-made").mkdir()
    assert [run.name for run in runs_in(home)] == ["a"]


def test_a_run_is_found_by_its_name(home):
    made(home, "first", "second")
    assert find_run(home, "first").name == "first"


def test_a_name_is_preferred_to_the_beginning_of_another(home):
    made(home, "a", "ab", "abc")
    assert find_run(home, "a").name == "a"
    assert find_run(home, "ab").name == "ab"


def test_a_beginning_that_only_one_run_has_is_enough(home):
    made(home, "digits-1", "other")
    assert find_run(home, "dig").name == "digits-1"


def test_a_beginning_that_several_share_is_answered_with_their_names(home):
    made(home, "digits-1", "digits-2", "other")
    with pytest.raises(NoSuchRun, match=r"2 runs: digits-2, digits-1") as caught:
        find_run(home, "digits")
    assert caught.value.exit_code == 3


def test_an_empty_prefix_matches_no_run(home):
    made(home, "only")
    with pytest.raises(NoSuchRun):
        find_run(home, "")


def test_a_run_directory_is_found_wherever_it_is(home, tmp_path):
    made(tmp_path / "elsewhere", "a")
    directory = tmp_path / "elsewhere" / "runs" / "a"
    assert find_run(home, str(directory)).directory == directory


def test_a_run_directory_may_be_named_from_here(home, monkeypatch):
    made(home, "a")
    monkeypatch.chdir(home)
    assert find_run(home, "runs/a").directory == home / "runs" / "a"
    monkeypatch.chdir(home / "runs" / "a")
    assert find_run(home, ".").directory == home / "runs" / "a"


def test_without_a_name_the_newest_run_is_meant(home):
    made(home, "old", "new")
    assert find_run(home, None).name == "new"


def test_without_runs_the_error_says_how_to_start_one(home):
    with pytest.raises(NoSuchRun, match="tuitrain run"):
        find_run(home, None)


def test_a_directory_that_is_no_run_is_said_to_be_none(home, tmp_path):
    with pytest.raises(NoSuchRun, match="is not a run directory"):
        find_run(home, f"{tmp_path}/")


@pytest.mark.parametrize(
    "name",
    [
        "nosuch",
        "../../etc",
        "..",
        "*",
        "[a]",
        pytest.param("a\0", id="nul"),
        pytest.param("a\0/b", id="nul in a path"),
        "\x1b]52;c;x\a",
        "\u202egnp",
        "\udcff",
        "/\x1b[31m",
        pytest.param("x" * 5000, id="a name beyond the system's limit"),
        pytest.param("/" + "x" * 5000, id="a path beyond the system's limit"),
    ],
)
def test_a_hostile_name_is_no_run_and_is_repeated_harmlessly(home, name):
    made(home, "a", "b")
    with pytest.raises(NoSuchRun) as caught:
        find_run(home, name)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 700


def test_a_folder_with_a_hostile_name_is_listed_harmlessly(home):
    made(home, "a\x1b]52;c;x\a", "ab")
    with pytest.raises(NoSuchRun, match="2 runs") as caught:
        find_run(home, "a")
    assert str(caught.value).isprintable()


def test_the_home_is_what_was_given_or_else_the_environments(monkeypatch, tmp_path):
    monkeypatch.setenv("TUITRAIN_HOME", str(tmp_path / "b"))
    assert home_folder(str(tmp_path / "a")) == tmp_path / "a"
    assert home_folder() == tmp_path / "b"
    monkeypatch.setenv("TUITRAIN_HOME", "~/runs")
    assert home_folder() == Path.home() / "runs"


def test_without_either_the_home_is_the_platforms(monkeypatch):
    monkeypatch.delenv("TUITRAIN_HOME", raising=False)
    assert home_folder().is_absolute()
    assert "tuitrain" in home_folder().name


def test_a_folder_is_for_its_owner_alone(tmp_path):
    assert make_folder(tmp_path / "a").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TuitrainError, match="--home"):
        make_folder(tmp_path / "file" / "folder")
