"""Runs over each other: what they share, in what they differ, which did better."""

import math
import re
from contextlib import ExitStack
from dataclasses import replace

import pytest

from tests.recorded import decay, in_home, problem, started
from tests.unit.view.chart.test_plot import cells
from tuitrain.core.events import TakeOpened
from tuitrain.view.chart import compare
from tuitrain.view.chart.shared_metrics import nothing_shared, shared
from tuitrain.view.picture import plain
from tuitrain.view.state.metrics import comparable_metrics
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import differences

ACCURACY, RMSE = (comparable_metrics(problem(kind))[0] for kind in ("multiclass", "regression"))


@pytest.fixture
def begin(tmp_path):
    """Begin runs of a home."""
    with ExitStack() as stack:

        def make(name, **settings):
            run = in_home(tmp_path, name, **settings)
            stack.callback(run.close)
            return run

        yield make


def compared(*runs):
    return compare.read_all([run.now() for run in runs], [run.reader for run in runs], 100)


def test_runs_of_one_kind_share_metrics_and_losses(begin):
    one, other = begin("a"), begin("b", loss="mse")
    at_first = [item.name for item in shared([one.now(), other.now()])]
    assert at_first == ["accuracy", "f1_macro", "auroc", "cross-entropy"]
    for run in (one, other):
        run.trains(1)
    found = shared([one.now(), other.now()])
    assert found == comparable_metrics(problem("multiclass")), "those that both have evaluated"


def test_runs_of_two_kinds_of_classes_share_metrics_but_no_loss(begin):
    found = [begin("a").now(), begin("b", task="breast-cancer").now()]
    assert [item.name for item in shared(found)] == ["accuracy", "f1_macro", "auroc"]


def test_classes_and_numbers_share_nothing_and_the_reason_is_told(begin):
    found = [begin("a").now(), begin("b", task="diabetes").now()]
    assert shared(found) == []
    said = nothing_shared(found)
    assert "a is multiclass (digits)" in said
    assert "b is regression (diabetes)" in said


def test_where_no_metric_is_of_all_runs_those_of_a_pair_are_shown_and_who_lacks_them(begin):
    runs = begin("a"), begin("n", task="diabetes"), begin("b", loss="mse")
    for run in runs:
        run.trains(2)
    entries = compared(*runs)
    of = compare.shared_by(entries)
    names = [metric.name for metric in of]
    assert names[:4] == ["accuracy", "f1_macro", "auroc", "cross-entropy"]
    assert {*names} & {"mae", "rmse", "mse"} == set(), "an mse of numbers is none of classes"
    legend = plain(compare.legend(entries, 80))
    assert "B has none of these metrics: it is regression (diabetes)" in legend
    results = plain(compare.results_table(entries, of, 80)).splitlines()
    (accuracy,) = [line.split() for line in results if line.split()[:1] == ["accuracy"]]
    assert [value == "–" for value in accuracy[1:]] == [False, True, False]
    curves = compare.charts(entries, of)[0].curves
    assert [len(curve.points) for curve in curves] == [2, 0, 2]
    assert " has no" not in plain(compare.legend(compared(runs[0], runs[2]), 80))


def test_only_settings_that_differ_are_told(begin):
    one, other = begin("a"), begin("b", lr=0.01, seed=3, epochs=9, optimizer="adamw")
    shown = differences.differing([one.now(), other.now()])
    assert shown == {
        "optimizer": ("adam", "adamw"),
        "lr": ("0.001", "0.01"),
        "seed": ("0", "3"),
        "weight decay": ("0", "0.01"),
        "epochs": ("40", "9"),
    }
    assert differences.differing([one.now(), one.now()]) == {}


def test_runs_that_differ_in_their_schedule_have_a_row_for_it(begin):
    one, other, third = (
        begin(name, optimizer=f"adam:schedule={schedule}")
        for name, schedule in (("a", "constant"), ("b", "constant"), ("c", "linear"))
    )
    other.trains(4)
    other.changes("schedule", "cosine@4", "w")
    shown = differences.differing([one.now(), other.now()])
    assert shown == {"schedule": ("constant", "constant → cosine @ epoch 4")}
    assert differences.settings(third.now())["schedule"] == "linear"
    differing = differences.differing([one.now(), third.now()])
    assert differing == {"schedule": ("constant", "linear")}, "not in the optimizer's row again"


def test_a_swap_and_a_change_are_told_with_their_epochs(begin):
    run = begin("a")
    run.trains(10)
    run.swaps("mse", "v")
    run.trains(2)
    run.changes("lr", 0.5, "w")
    run.changes("clip-norm", 2.0, "x")
    shown = differences.settings(run.now())
    assert shown["loss"] == "cross-entropy → mse @ epoch 10"
    assert shown["lr"] == "0.001 → 0.5 @ epoch 12"
    assert shown["clip norm"] == "off → 2 @ epoch 12"


def test_the_first_values_are_those_that_the_run_began_with_and_not_those_of_its_resume(begin):
    run = begin("a", optimizer="adamw")
    run.trains(5)
    run.changes("weight-decay", 0.5, "v")
    run.changes("clip-norm", 2.0, "w")
    run.records(replace(started(), settings=run.now().settings))  # as a resume does
    shown = differences.settings(run.now())
    assert shown["weight decay"] == "0.01 → 0.5 @ epoch 5"
    assert shown["clip norm"] == "off → 2 @ epoch 5"


def test_a_fork_began_with_the_clip_norm_of_its_parent(begin):
    run = begin("a").now()
    fork = Snapshot.begin("b", run.directory, run.spec, 0.0)
    begun = replace(started(), settings={**run.settings, "clip-norm": 1.0})
    fork = replace(fork, lineage=fork.lineage.after([begun]))
    assert differences.settings(fork)["clip norm"] == "1"


def test_what_was_undone_is_no_difference(begin):
    run = begin("a")
    run.trains(10)
    run.swaps("mse", "v")
    run.trains(5)
    run.goes_back(10, "cross-entropy", undone="v")
    assert differences.settings(run.now())["loss"] == "cross-entropy"


def test_a_change_that_a_rollback_kept_holds_from_where_the_run_went_back_to(begin):
    run = begin("a")
    run.trains(10)
    run.swaps("mse", "v")
    run.trains(5)
    run.goes_back(4, "mse")
    assert isinstance(run.now().log[-1].event, TakeOpened)
    assert differences.settings(run.now())["loss"] == "cross-entropy → mse @ epoch 4"


@pytest.mark.parametrize(
    ("metric", "values", "leading"),
    [
        (ACCURACY, [0.5, 0.75], [False, True]),
        (RMSE, [0.5, 0.75], [True, False]),
        (RMSE, [0.5, 0.75, 0.5], [True, False, True]),
        (ACCURACY, [0.5, 0.5], [False, False]),
        (ACCURACY, [None, 0.5], [False, True]),
        (ACCURACY, [math.nan, 0.5], [False, True]),
        (ACCURACY, [math.nan, math.nan], [False, False]),
        (RMSE, [None, None], [False, False]),
        (RMSE, [math.inf, 1.0], [False, True]),
    ],
)
def test_the_better_value_leads_and_none_where_all_are_alike(metric, values, leading):
    assert compare.better(values, metric) == leading


def test_results_have_the_last_and_the_best_value_of_each_run(begin):
    one, other = begin("a"), begin("b")
    one.trains(3)
    one.trains(1, lambda step: 2.0)
    other.trains(2, lambda step: 1.5)
    lines = plain(compare.results_table(compared(one, other), [ACCURACY], 80)).splitlines()
    assert lines[0].split() == ["A", "a", "B", "b"]
    assert lines[1].split() == ["accuracy", "0.3333", "0.5000", "★"]
    peak = f"{1 - decay(3 * 23) / 3:.4f}"
    assert lines[2].split() == ["best", *f"{peak} @3 ★ 0.5000 @1".split()]


def test_no_run_is_called_better_by_less_than_is_shown(begin):
    runs = [begin(name) for name in "abc"]
    for run, value in zip(runs, (0.8, 0.96921, 0.96919), strict=True):
        run.trains(1, metrics={"accuracy": value})
    lines = plain(compare.results_table(compared(*runs), [ACCURACY], 80)).splitlines()
    assert lines[1].split() == ["accuracy", "0.8000", "0.9692", "★", "0.9692", "★"]
    lines = plain(compare.results_table(compared(*runs[1:]), [ACCURACY], 80)).splitlines()
    assert "★" not in lines[1]


def test_a_run_without_an_epoch_has_dashes(begin):
    one, other = begin("a"), begin("b")
    one.trains(1)
    lines = plain(compare.results_table(compared(one, other), [ACCURACY], 80)).splitlines()
    assert lines[1].split()[-1] == "–"
    page = compare.page(compared(one, other), 0, 80, 12)
    assert "accuracy" in plain(page)


def test_each_run_has_a_sign_and_a_colour_of_its_own_on_every_chart(begin):
    runs = [begin(name) for name in ("one", "two", "three")]
    for at, run in enumerate(runs):
        run.trains(30, lambda step, at=at: (at + 1) * decay(step))
    found = compared(*runs)
    legend = compare.legend(found, 80)
    assert [line.split()[0][0] for line in plain(legend).splitlines()] == ["A", "B", "C"]
    picture = compare.page(found, 0, 60, 20)
    for sign, role in (("A", "series1"), ("B", "series2"), ("C", "series3")):
        assert sum(line.count((sign, role)) for line in cells(picture)) >= 4


def test_more_runs_than_colours_still_have_signs_of_their_own(begin):
    found = compared(*(begin(f"run-{number}") for number in range(8)))
    assert [item.sign for item in found] == list("ABCDEFGH")
    assert found[6].role == found[0].role


def test_a_swap_is_marked_on_the_curve_of_the_run_that_made_it(begin):
    one, other = begin("a"), begin("b")
    for run in (one, other):
        run.trains(10)
    other.swaps("mse")
    for run in (one, other):
        run.trains(10)
    found = compared(one, other)
    picture = compare.page(found, 0, 40, 14)
    marks = [role for line in cells(picture) for sign, role in line if sign == "◆"]
    assert marks
    assert set(marks) == {"series2"}
    assert "swapped" in plain(compare.legend(found, 80))


def test_runs_of_different_batch_size_stand_over_each_other_by_epoch(begin):
    one, other = begin("a"), begin("b")
    one.trains(40)
    other.trains(20)
    lines = plain(compare.page(compared(one, other), 0, 60, 14)).splitlines()
    assert lines[-1].endswith("─40")


def test_pages_show_every_metric_and_begin_again(begin):
    one, other = begin("a"), begin("b")
    one.trains(1)
    other.trains(1)
    found = compared(one, other)
    pages = [plain(compare.page(found, number, 120, 6)) for number in range(3)]
    names = list(problem("multiclass").losses)
    assert all(any(name in page for page in pages) for name in names)
    assert pages[2] == pages[0] != pages[1]
    assert "3 more" in compare.page_title(found, 0, 120, 6)


def test_a_hostile_name_is_shown_and_not_obeyed(begin):
    one, other = begin("a"), begin("\x1b[31m[red]b")
    shown = plain(compare.legend(compared(one, other), 80))
    assert "\x1b" not in shown
    assert "␛[31m[red]b" in shown


def test_programs_get_the_same(begin):
    one, other = begin("a", lr=0.01), begin("b")
    one.trains(2)
    other.trains(3)
    shown = compare.as_json(compared(one, other), [ACCURACY])
    assert [run["name"] for run in shown["runs"]] == ["a", "b"]
    assert shown["differs"] == {"lr": ["0.01", "0.001"]}
    (accuracy,) = shown["measures"]
    assert accuracy["best_epoch"] == [2, 3]
    assert accuracy["better_final"] == ["b"]


def test_counts_have_separators_in_the_tables_and_none_for_programs(begin):
    one, two = begin("a", epochs=40_000, batch_size=2_048), begin("b")
    for run in (one, two):
        run.trains(1)
    found = compared(one, two)
    shown = plain(compare.settings_table(found, 80))
    assert re.search(r"epochs +40,000 +40$", shown, re.MULTILINE)
    assert re.search(r"batch size +2,048 +64$", shown, re.MULTILINE)
    assert compare.as_json(found, [])["differs"]["epochs"] == ["40000", "40"]
    assert "epoch 1/40,000" in plain(compare.legend(found, 80))


@pytest.mark.parametrize(
    ("width", "why", "title"),
    [
        (
            140,
            "no value of one says anything about another",
            "how they did: last, and best @ epoch",
        ),
        (60, "no contest", "last, and best @ epoch"),
        (40, "no contest", "no contest, since their tasks differ"),
    ],
)
def test_runs_of_different_tasks_are_said_to_be_no_contest_in_whole_words(begin, width, why, title):
    found = compared(begin("one"), begin("two", task="breast-cancer"))
    assert plain(compare.legend(found, width)).splitlines()[-1].split("differ: ")[1].strip() == why
    assert compare.results_title(found, width).startswith(title)
