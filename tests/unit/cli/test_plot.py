"""What `plot` prints of recorded runs with the options of its axes."""

import math

import pytest

from tests.recorded import STEPS, in_home
from tuitrain import cli


@pytest.fixture(autouse=True)
def run(tmp_path):
    one = in_home(tmp_path, "one", epochs=40)
    one.trains(40, lambda step: 3 * math.exp(-step / 100) if step != 700 else 50.0)
    one.finishes()


@pytest.fixture
def said(tmp_path, capsys):
    def say(*arguments, code=0):
        line = ["--home", str(tmp_path), "plot", "one", "--width", "90", "--height", "16"]
        assert cli.run([*line, *arguments]) == code
        printed = capsys.readouterr()
        return printed.out if code == 0 else printed.err

    return say


def axis_of(text):
    return text.splitlines()[-2].split()


def test_the_title_says_that_the_axis_is_logarithmic_by_itself_and_an_option_undoes_it(said):
    assert said().splitlines()[0] == "one: digits, cross-entropy, finished, log y"
    assert said("--no-log-y").splitlines()[0] == "one: digits, cross-entropy, finished"


@pytest.mark.parametrize(
    ("unit", "last"), [("step", "800"), ("epoch", "40"), ("samples", "50k"), ("time", "0:10")]
)
def test_the_x_axis_has_the_unit_that_was_asked_for(said, unit, last):
    assert axis_of(said("--x", unit))[-1] == last


def test_from_and_to_are_in_the_unit_of_the_axis(said):
    text = said("--x", "epoch", "--from", "10", "--to", "20")
    assert "by epoch" in text.splitlines()[0]
    assert f"steps {10 * STEPS}–{20 * STEPS}" in text.splitlines()[0]
    assert axis_of(text)[:2] == ["10", "12"]
    assert axis_of(said("--from", "460"))[0] == "500"


def test_outliers_are_cut_off_and_counted_unless_they_are_asked_for(said):
    assert "above" in said("--no-log-y", "--from", "400")
    text = said("--no-log-y", "--from", "400", "--outliers")
    assert "above" not in text
    assert "40┤" in text


def test_smoothing_is_said(said):
    assert "not smoothed" in said("--smooth", "0").splitlines()[0]
    assert "smoothed over 20 steps" in said("--smooth", "20").splitlines()[0]


def test_in_a_pipe_validations_are_letters_and_a_legend_says_so(said):
    text = said()
    *chart, legend = text.splitlines()
    assert legend == "o °: validation; dots: batches and their smoothed line"
    assert sum(line.count("o") + line.count("°") for line in chart[3:-2]) >= 10


def test_values_that_are_not_finite_have_no_axis_and_are_explained(tmp_path, capsys):
    two = in_home(tmp_path, "two", epochs=4)
    two.trains(4, lambda _step: math.nan, val_loss=math.nan, val_losses={"cross-entropy": math.nan})
    two.close()
    for more in ((), ("--metric", "cross-entropy")):
        assert cli.run(["--home", str(tmp_path), "plot", "two", "--width", "90", *more]) == 0
        printed = capsys.readouterr().out
        _title, *chart = printed.splitlines()
        assert "×" in printed
        assert not any(line.partition("│")[0].strip() for line in chart if "│" in line)
        assert "┤" not in printed
        assert ("×: not finite" in printed) == (not more)


def test_of_a_metric_that_is_no_loss_the_axis_is_never_logarithmic(said):
    assert "log" not in said("--metric", "accuracy", "--log-y").splitlines()[0]
    assert "log y" in said("--metric", "mse").splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "code", "word", "hint"),
    [
        (["--x", "batches"], 2, "'batches'", "step, epoch, samples or time"),
        (["--from", "30", "--to", "20"], 2, "--from", "below"),
        (["--from", "5000"], 2, "--from", "920"),
        (["--smooth", "lots"], 2, "'lots'", "a number"),
    ],
)
def test_a_wrong_option_is_named_with_what_is_right(said, arguments, code, word, hint):
    error = said(*arguments, code=code)
    assert word in error
    assert hint in error
