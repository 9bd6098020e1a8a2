"""What `compare` and `plot --metric` print of recorded runs."""

import json
import re

import pytest

from tests.recorded import decay, in_home
from tuitrain import cli


@pytest.fixture
def said(tmp_path, capsys):
    """Run a command line in the home and return what it prints; it must succeed."""

    def say(*arguments):
        assert cli.run(["--home", str(tmp_path), *arguments]) == 0
        return capsys.readouterr().out

    return say


@pytest.fixture
def refused(tmp_path, capsys):
    """Run a command line in the home and return its exit code and what it says on stderr."""

    def run(*arguments):
        code = cli.run(["--home", str(tmp_path), *arguments])
        captured = capsys.readouterr()
        assert captured.out == ""
        return code, captured.err

    return run


@pytest.fixture(autouse=True)
def runs(tmp_path):
    """Two runs of one kind, `one` swapped after 10 of 20 epochs; a third of another kind."""
    one = in_home(tmp_path, "one")
    one.trains(10)
    one.swaps("mse")
    one.trains(10, lambda step: 0.5 * decay(step))
    one.finishes()
    other = in_home(tmp_path, "two", lr=0.01)
    other.trains(30)
    other.finishes()
    numbers = in_home(tmp_path, "numbers", task="diabetes")
    numbers.trains(2)
    numbers.finishes()


def test_runs_are_printed_over_each_other_with_what_differs_and_how_they_did(said):
    text = said("compare", "one", "two", "--width", "90")
    lines = text.splitlines()
    assert lines[0].split()[:2] == ["A━", "one"]
    assert lines[1].split()[:2] == ["B━", "two"]
    for name in ("accuracy", "f1_macro", "auroc", "cross-entropy", "bce-with-logits", "mse", "l1"):
        assert name in text
    assert any(0x2800 < ord(sign) <= 0x28FF for sign in text)
    (loss,) = [line for line in lines if line.startswith("loss ")]
    assert loss.split("  ")[-1].strip() == "cross-entropy"
    assert "cross-entropy → mse @ epoch 10" in loss
    (rate,) = [line for line in lines if line.startswith("lr ")]
    assert rate.split() == ["lr", "0.001", "0.01"]
    assert "seed" not in text
    accuracy = next(line for line in lines if line.startswith("accuracy"))
    assert re.fullmatch(r"accuracy +0\.\d+ ★ +0\.\d+", accuracy)
    assert max(map(len, lines)) <= 90


def test_a_pipe_gets_no_escapes(said):
    for arguments in (
        ("compare", "one", "two"),
        ("plot", "one"),
        ("plot", "one", "--metric", "l1"),
    ):
        assert "\x1b" not in said(*arguments)


def test_one_metric_alone_has_one_wide_chart(said):
    lines = said("compare", "one", "two", "--metric", "MSELoss", "--width", "70", "--height", "15")
    lines = lines.splitlines()
    first = lines.index("by epoch") + 1
    assert lines[first].split()[0] == "mse"
    assert lines[first + 14].split()[::2] == ["0", "10", "20", "30"]
    assert "accuracy" not in "\n".join(lines)


def test_programs_get_strict_json(said):
    comparison = json.loads(said("compare", "two", "one", "--json"))
    assert [run["name"] for run in comparison["runs"]] == ["two", "one"]
    assert comparison["differs"]["lr"] == ["0.01", "0.001"]
    assert {metric["name"] for metric in comparison["measures"]} >= {"accuracy", "mse"}
    assert all(len(metric["final"]) == 2 for metric in comparison["measures"])


def test_runs_that_share_nothing_are_refused_in_one_sentence(refused):
    code, said = refused("compare", "one", "numbers")
    assert code == 3
    assert "no metric in common" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "description"),
    [
        (("compare", "one"), "two runs or more"),
        (("compare", "one", "on"), "named twice"),
        (("compare", "one", "two", "--metric", "acuracy"), "did you mean 'accuracy'"),
        (("plot", "one", "--metric", "cros-entropy"), "did you mean 'cross-entropy'"),
        (("plot", "numbers", "--metric", "accuracy"), "there are: l1, lr, mae, mse, r2, rmse"),
    ],
)
def test_wrong_use_is_told_with_what_would_be_right(refused, arguments, description):
    code, said = refused(*arguments)
    assert code == 2
    assert description in said


def test_a_chart_of_one_metric_is_printed_with_its_last_and_best_value(said):
    lines = said("plot", "one", "--metric", "accuracy", "--width", "60", "--height", "12")
    first, *chart = lines.splitlines()
    assert first.startswith("one: digits, accuracy 0.9")
    assert "best 0.9" in first
    assert first.endswith("@ epoch 20, finished")
    assert len(chart) == 12
    assert chart[-2].count("┴") == 1, "the swap"


def test_runs_of_different_tasks_are_no_contest(said, tmp_path):
    other = in_home(tmp_path, "cancer", task="breast-cancer")
    other.trains(3)
    other.finishes()
    text = said("compare", "one", "cancer", "--width", "90")
    assert "no contest, since their tasks differ" in text
    assert "no value of one says anything about another" in text.partition("by epoch")[0]
    assert "★" not in text
    comparison = json.loads(said("compare", "one", "cancer", "--json"))
    assert comparison["comparable"] is False
    assert {tuple(metric["better_best"]) for metric in comparison["measures"]} == {()}


@pytest.mark.parametrize("command", [("plot", "one"), ("compare", "one", "two")])
def test_a_chart_too_narrow_for_its_numbers_is_refused(refused, command):
    code, message = refused(*command, "--width", "5")
    assert code == 2
    assert "width takes a whole number from 20 to 1000, not '5'" in message


def test_a_chart_in_a_pipe_tells_what_was_abandoned_from_the_lineage(said, tmp_path):
    assert "dashed" not in said("plot", "two")
    undone = in_home(tmp_path, "undone")
    undone.trains(4)
    undone.goes_back(1, "cross-entropy")
    undone.trains(1, lambda step: 5.0)
    undone.finishes()
    for more in ((), ("--metric", "accuracy")):
        text = said("plot", "undone", "--width", "80", *more)
        assert "dashed: left behind by an undo, a rollback or a crash" in text
