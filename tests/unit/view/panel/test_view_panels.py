"""The panels of the views, drawn from records: what they say, and what they say is missing."""

import math
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.recorded import RecordedRun
from tuitrain.catalog import new_spec
from tuitrain.core.detail import (
    BATCH,
    CONFUSION,
    FIT,
    LABELS,
    LAYERS,
    LINE_SEARCH,
    LOSS_CURVES,
    SAMPLE,
    SCORES,
    SURFACE,
    WORST,
    LineSearch,
)
from tuitrain.core.errors import DamagedRecord
from tuitrain.core.events import Paused, StartupReached
from tuitrain.core.series import GRADIENT_NORM, SHARES
from tuitrain.store.delta import Cursor
from tuitrain.tui.views import VIEWS
from tuitrain.view.chart.curves import Curves
from tuitrain.view.chart.trends import trends
from tuitrain.view.panel import batch, fit, health, loss_curve, model
from tuitrain.view.panel.layers import layers
from tuitrain.view.panel.line_search import line_search, verdict
from tuitrain.view.panel.output import output
from tuitrain.view.panel.panels import header
from tuitrain.view.panel.reads import Reads
from tuitrain.view.panel.sample import sample
from tuitrain.view.panel.surface import applies, surface
from tuitrain.view.panel.worst import worst
from tuitrain.view.picture import plain
from tuitrain.view.state.fold import fold
from tuitrain.view.state.snapshot import Snapshot
from tuitrain.view.text import words
from tuitrain.view.text.cells import width_of

SIZES = [(80, 24), (140, 40), (200, 55), (40, 10), (1, 1)]
X = [-10 + number * 20 / 64 for number in range(65)]
CURVES = {
    "axis": "log-odds",
    "places": X,
    "curves": {
        "cross-entropy": {"values": [math.log1p(math.exp(-x)) for x in X],
                          "slopes": [-1 / (1 + math.exp(x)) for x in X]},
        "mse": {"values": [0.1 / (1 + math.exp(x)) for x in X], "slopes": [-0.01 for _ in X]},
    },
}  # fmt: skip
BODY = {
    "input": "(64, 64) float32", "target": "(64,) int64", "output": "(64, 10) float32",
    "gradient_norm": "nan", "update_ratio": None, "losses": [0.25, 2.5], "places": [1.26, -2.41],
}  # fmt: skip


PLACES = [quarter / 4 for quarter in range(-4, 13)]
ROW = "ff" * 3
BASE = {"epoch": 1, "targets": [0, 1], "predicted": [0, 0]}
PLANE = {
    **BASE, "low": [-1, -1], "high": [1, 1], "inputs": [[-0.5, -0.5], [0.5, 0.5]],
    "levels": [ROW, ROW], "classes": ["000000", "010101"],
}  # fmt: skip
LINE = {**BASE, "low": [-1], "high": [1], "inputs": [[-0.5], [0.5]], "curves": [[0.0, 0.5, 1.0]]}
FITTED = {
    "samples": 3, "true": [1, 2], "predicted": [1, 3], "mean": 0.5, "median": 0.25, "limit": 1.5,
    "counts": [0, 2, 1],
}  # fmt: skip


def searched(least: float, *, slope: float = 1.0) -> dict[str, object]:
    """A line search whose loss is least at a place, in steps."""
    return {"places": PLACES, "losses": [1 + slope * (place - least) ** 2 for place in PLACES]}


def layer(name: str, update: float | str | None, **more: object) -> dict[str, object]:
    return {"name": name, "gradient_norm": 0.5, "update_ratio": update, **more}


DEEP = {"layers": [
    layer("stem Conv2d", 1e-3, dead=0.25, units=64),
    *(layer(f"blocks.{number} Linear", 1e-4, dead=0.0, units=8) for number in range(30)),
    layer("still Linear", 0.0), layer("head Linear", "nan"), layer("wild Linear", 10.0),
    layer("gone Linear", 1e-3, dead=1.0, units=128),
]}  # fmt: skip


TAKEN_APART = {
    "number": 4, "true": 7, "width": 2, "pixels": "0ff0",
    "before": [-2.0, 4.0, *[-3.0] * 5, 3.0, -3.0, -3.0],
    "after": [-2.0, 3.0, *[-3.0] * 5, 3.5, -3.0, -3.0],
}  # fmt: skip


@pytest.fixture
def recorded(run_paths):
    run = RecordedRun(run_paths.record)
    yield run
    run.close()


def reads(run: RecordedRun, lines=(), search="") -> Reads:
    return Reads(run.reader, Curves(run.reader), lambda: list(lines), lambda: search)


def drawn(panel, run: RecordedRun, size=(100, 30), **more) -> str:
    return plain(panel(run.now(), reads(run, **more), *size))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("has_details", [False, True])
def test_every_panel_fills_its_size_with_what_there_is(recorded, size, has_details):
    panels = [panel for view in VIEWS for panel in view.panels]
    for epochs in (0, 2):
        recorded.trains(epochs)
        if has_details:
            for name, body in WHOLE.items():
                recorded.details(name, body)
        for panel in panels:
            picture = panel.draw(recorded.now(), reads(recorded, ["one", "two"]), *size)
            cells = {sum(width_of(span.text) for span in line) for line in picture}
            assert (len(picture), cells) == (size[1], {size[0]}), panel.id


def test_several_labels_have_their_results_the_least_first(recorded):
    recorded.trains(1)
    recorded.details(LABELS, {"counts": [[8, 10, 9], [0, 5, 0], [0, 0, 4]]})
    head, never, unasked, good = drawn(model.classes, recorded).splitlines()[:4]
    assert head.split() == ["samples", "recall", "precision", "F1"]
    assert never.split() == ["1", "5", "0.000", "–", "0.000", "never", "predicted"]
    assert unasked.split() == ["2", "0", "–", "0.000", "0.000"]
    assert good.split() == ["0", "10", "0.800", "0.889", "0.842"]

    recorded.details(LABELS, {"counts": [[8, 10]]})
    with pytest.raises(DamagedRecord):
        drawn(model.classes, recorded)


DAMAGED = [
    {}, {"counts": [[1, 2]]}, {**BODY, "losses": ["x"]}, {**BODY, "input": "x" * 300},
    {"axis": "log-odds", "places": [], "curves": {}},
    {"axis": "log-odds", "places": X, "curves": {"cross-entropy": {"values": [1.0], "slopes": []}}},
    {"epoch": 1, "samples": [{"number": -1, "true": 0, "predicted": 0, "score": 0}]},
    {"epoch": 1, "samples": [{"number": 1, "true": 0, "predicted": 0, "score": 0, "pixels": "g"}]},
    {**PLANE, "classes": [ROW]}, {**PLANE, "levels": ["0"]}, {**PLANE, "inputs": [[0.5]]},
    {**PLANE, "targets": ["inf", -1]}, {**LINE, "curves": []}, {**LINE, "low": [0, 0, 0]},
    {**FITTED, "true": [1]}, {"places": [0, 1], "losses": [1]}, {"places": [], "losses": []},
    {"layers": [{"name": "x" * 300, "gradient_norm": 1.0}]},
    {"number": 0, "true": 3, "before": [1.0], "after": [1.0]},
    {"number": 0, "true": 0, "before": [1.0], "after": [1.0], "width": 3, "pixels": "f"},
    {"number": 0, "true": 0, "before": [1.0], "after": [1.0], "gradient": [1.0, 0.0]},
]  # fmt: skip


@pytest.mark.parametrize("body", DAMAGED)
def test_a_damaged_detail_is_missing_or_said_to_be_damaged(recorded, body):
    recorded.trains(1)
    for name in (*WHOLE, WORST):
        recorded.details(name, body)
    for panel in (panel for view in VIEWS for panel in view.panels):
        with suppress(DamagedRecord):  # what shows the panel says so in its place
            assert "x" * 250 not in plain(panel.draw(recorded.now(), reads(recorded), 300, 40))


def counts(classes: int, wrong: int = 0) -> dict[str, object]:
    rows = [
        [7 if true == predicted else 0 for predicted in range(classes)] for true in range(classes)
    ]
    rows[0][-1] += wrong
    return {"counts": rows}


WHOLE = {
    BATCH: BODY, LOSS_CURVES: CURVES, CONFUSION: counts(10), FIT: FITTED, SURFACE: PLANE,
    SCORES: {"counts": [[0] * 19 + [7]] * 10}, LINE_SEARCH: searched(1), LAYERS: DEEP,
    SAMPLE: TAKEN_APART,
}  # fmt: skip


def test_a_batch_of_an_older_record_has_its_times_and_says_what_is_missing(recorded):
    recorded.trains(1)
    said = drawn(batch.steps, recorded)
    assert "step 23 · batch 23/23 of epoch 1 · 64 samples" in said
    assert "shapes, gradient and samples of this batch are not in the record" in said


def test_numbers_of_an_earlier_batch_have_its_step(recorded):
    recorded.trains(1)
    recorded.details(BATCH, BODY)
    recorded.trains(1)
    said = drawn(batch.steps, recorded)
    assert "step 46 · batch 23/23 of epoch 2" in said
    assert "gradient norm NaN*" in said
    assert "* at step 23: measured about once a second" in said
    assert "outputs (64, 10) float32\n" in said, "as the batches of both steps have"
    assert "the loss of the first 2 samples*: 0.2500  2.500" in said


def test_the_samples_of_a_paused_run_are_ranked_by_their_loss(recorded):
    recorded.trains(1)
    recorded.details(BATCH, BODY)
    assert "the highest loss first" not in drawn(batch.steps, recorded), "they change while it runs"
    recorded.records(Paused(None, 1, 23, 1))
    lines = drawn(batch.steps, recorded).splitlines()
    at = lines.index(" the loss of the first 2 samples, the highest first")
    assert lines[at + 1].split()[:3] == ["sample", "2", "2.500"]
    assert lines[at + 1].endswith("right class 8.2%")
    assert lines[at + 2].split()[:3] == ["sample", "1", "0.2500"]
    assert lines[at + 1].count("█") == 10 * lines[at + 2].count("█") == 50


@pytest.mark.parametrize("after", [0.0, 99.0])
def test_of_a_batch_that_was_trained_alone_the_loss_after_its_step_is_told(recorded, after):
    recorded.trains(1)
    recorded.details(BATCH, BODY)
    recorded.details(LINE_SEARCH, {"places": [-1.0, 0.0, 1.0, 2.0], "losses": [9, 5, after, 1]})
    assert "again" not in drawn(batch.steps, recorded), "another batch is trained the next moment"
    recorded.records(Paused(None, 1, 23, 1))
    loss = re.search(r"3 loss.*cross-entropy (\S+)", drawn(batch.steps, recorded))[1]
    said = f" the same batch again: {loss} → {words.value(after)} {'▲' if after else '▼'}"
    assert said in drawn(batch.steps, recorded).splitlines()


def test_a_batch_trained_before_a_swap_keeps_its_loss(recorded):
    recorded.trains(1)
    recorded.swaps("mse")
    said = drawn(batch.steps, recorded)
    assert "3 loss" in said
    assert "cross-entropy" in said
    assert "mse" not in said


def test_up_to_twelve_classes_the_matrix_has_numbers_and_the_worst_pair_by_name(recorded):
    recorded.trains(3)
    recorded.details(CONFUSION, counts(10, wrong=3))
    said = drawn(model.confusion, recorded)
    assert "epoch 3 · 73 validation samples" in said
    assert said.splitlines()[2].split() == ["0", "7", *["·"] * 8, "3"]
    assert "0 taken for 9  3 of 10  30%" in said


def test_more_classes_become_a_heat_map(recorded):
    recorded.trains(1)
    recorded.details(CONFUSION, counts(20, wrong=3))
    said = drawn(model.confusion, recorded)
    assert f" 0 ▓{'·' * 18}▒" in said
    assert "0  taken for 19  3 of 10  30%" in said
    assert "need more room" in drawn(model.confusion, recorded, (80, 15))


def test_classes_are_listed_the_worst_first(recorded):
    recorded.trains(1)
    recorded.details(CONFUSION, counts(10, wrong=3))
    first = drawn(model.classes, recorded).splitlines()[1]
    assert first.split() == ["0", "10", "0.700", "1.000", "0.824"]


def test_a_class_has_a_histogram_of_its_scores_as_high_as_there_is_room(recorded):
    recorded.trains(1)
    recorded.details(CONFUSION, counts(2))
    recorded.details(SCORES, {"counts": [[1] + [0] * 18 + [8], [0] * 20]})
    lines = drawn(model.classes, recorded, (80, 12)).splitlines()
    assert lines[0].endswith("0  P(right class)  1")
    assert [line.strip() for line in lines[1:4]] == ["█"] * 3
    right = lines[0].index("0  P")
    assert lines[4][right:] == "▄" + " " * 18 + "█"
    assert lines[4].split()[:2] == ["0", "7"]


def test_names_of_classes_are_cut_before_numbers(run_paths):
    run = RecordedRun(run_paths.record, new_spec("breast-cancer"))
    run.trains(1)
    run.details(CONFUSION, counts(2))
    assert "ma…        7   1.000" in drawn(model.classes, run, (40, 6))
    run.close()


@pytest.fixture
def numbers(run_paths):
    run = RecordedRun(run_paths.record.with_name("numbers.db"), new_spec("sine"))
    run.trains(1)
    yield run
    run.close()


def test_numbers_are_drawn_over_the_true_ones_with_the_line_on_which_they_are_equal(numbers):
    assert "no predictions of the last epoch" in drawn(fit.fit, numbers)
    numbers.details(FIT, {**FITTED, "samples": 9, "true": [0, 0, 4, 4], "predicted": [0, 0, 4, 0]})
    lines = drawn(fit.fit, numbers, (60, 20)).splitlines()
    assert lines[0] == " epoch 1 · 4 of 9 validation samples · on the line: right"
    canvas = [line.partition("│")[2].ljust(53) for line in lines[1:18]]
    assert "·" in canvas[0][-4:], "the upper right: one sample, right"
    assert "∙" in canvas[-1][:4], "the lower left: two samples"
    assert "·" in canvas[-1][-4:], "predicted 0 where 4 is true"
    assert any(0x2800 < ord(cell) <= 0x28FF for cell in canvas[8])
    assert lines[-1].split() == ["-0.1", "true", "4.1"]


def test_errors_are_a_histogram_with_their_mean_and_their_usual_size(numbers):
    numbers.details(FIT, FITTED)
    lines = drawn(fit.residuals, numbers, (60, 7)).splitlines()
    assert lines[0] == " mean +0.5 · half are off by less than 0.25"
    assert lines[4] == "    ██████"
    assert lines[5] == " ────┴────"
    assert lines[6].split() == ["−1.5", "or", "less", "0", "1.5", "or", "more"]


@pytest.fixture
def toy(run_paths):
    run = RecordedRun(run_paths.record.with_name("toy.db"), new_spec("moons"))
    run.trains(1)
    yield run
    run.close()


def test_a_plane_has_the_regions_of_its_classes_the_border_and_the_samples(toy):
    assert applies(toy.now())
    assert "no outputs of this model over its inputs" in drawn(surface, toy)
    toy.details(SURFACE, PLANE)
    lines = drawn(surface, toy, (60, 23)).splitlines()
    assert lines[0] == " epoch 1 · ○ upper · ● lower · ◇ ◆ wrong"
    canvas = [line.partition("│")[2] for line in lines[1:21]]
    above, border, below = canvas[:9], canvas[9] + canvas[10], canvas[11:]
    assert {*"".join(above)} == {"░", "◆"}, "it is taken for the other class"
    assert {*border} & {chr(code) for code in range(0x2801, 0x2900)}
    assert {*"".join(below)} == {" ", "○"}
    assert below[3].index("○") == pytest.approx(53 / 4, abs=1)


def test_of_more_classes_a_sample_that_is_taken_for_another_one_has_a_ring(toy):
    wrong = {"inputs": [[-0.5, -0.5], [0.5, 0.5], [0.0, 0.9]], "targets": [0, 1, 2],
             "predicted": [0, 1, 1]}  # fmt: skip
    toy.details(SURFACE, PLANE | wrong)
    lines = drawn(surface, toy, (60, 23)).splitlines()
    assert lines[0].endswith("· ringed: wrong")
    canvas = "".join(line.partition("│")[2] for line in lines[1:21])
    assert {"0", "1", "②"} <= {*canvas}
    assert "2" not in canvas


def test_where_the_model_is_unsure_the_region_is_dotted(toy):
    toy.details(SURFACE, {**PLANE, "levels": ["aa" * 3] * 2, "inputs": [], "targets": [],
                          "predicted": []})  # fmt: skip
    assert drawn(surface, toy, (60, 23)).splitlines()[2].partition("│")[2] == "·" * 53


def test_one_input_of_two_classes_has_the_probability_over_it_and_the_samples_at_their_class(toy):
    toy.details(SURFACE, LINE)
    canvas = [line.partition("│")[2] for line in drawn(surface, toy, (60, 23)).splitlines()[1:21]]
    assert "●" in canvas[0]
    assert "○" in canvas[-1]
    rising = [next(at for at, cell in enumerate(row) if cell > "\u2800") for row in canvas[-2:0:-1]]
    assert rising == sorted(rising)


def test_the_probabilities_of_several_classes_over_one_input_have_the_signs_of_their_classes(toy):
    last = [1 - abs(at - 40) / 10 if 30 < at < 50 else 0.0 for at in range(50)]
    first = [1.0 - at / 49 for at in range(50)]
    second = [max(0.0, 1.0 - one - other) for one, other in zip(first, last, strict=True)]
    toy.details(SURFACE, LINE | {"curves": [first, second, last], "predicted": [0, 2],
                                 "targets": [0, 2]})  # fmt: skip
    canvas = [line.partition("│")[2] for line in drawn(surface, toy, (60, 23)).splitlines()[1:21]]
    assert [*canvas[-1]].count("0") == [*canvas[-1]].count("2") == 1, "the samples"
    places = [(row, at) for row in range(19) for at, cell in enumerate(canvas[row]) if cell == "0"]
    assert len(places) == 3
    assert places == sorted(places, key=lambda place: place[1]), "0 is along the falling line"
    assert "1" in "".join(canvas[:-1])
    assert "2" in canvas[0], "a narrow peak has a sign as well"


def test_a_fitted_curve_runs_through_the_samples(numbers):
    numbers.details(SURFACE, {**LINE, "targets": [0.9, 0.1]})
    said = drawn(surface, numbers, (60, 23))
    assert said.count("•") == 3, "two samples, and the heading"
    assert any(0x2800 < ord(cell) <= 0x28FF for cell in said)


def test_a_number_over_two_inputs_is_denser_where_it_is_greater(numbers):
    numbers.details(SURFACE, {**PLANE, "classes": [], "span": [0, 9], "levels": ["00" * 3, ROW],
                              "targets": [3, 1], "predicted": [1, 3]})  # fmt: skip
    canvas = [line.partition("│")[2] for line in drawn(surface, numbers, (60, 23)).splitlines()]
    assert {*"".join(canvas[1:10])} == {"▓", "▼"}
    assert {*"".join(canvas[12:21])} == {" ", "▲"}


def test_a_model_of_other_inputs_says_that_it_has_no_surface(recorded):
    assert not applies(recorded.now())
    assert "of one or two inputs; this one has 64" in drawn(surface, recorded)


@pytest.mark.parametrize(
    ("least", "word", "why"),
    [
        (1, "right", "no step on this line does much better"),
        (0.6, "too far", "0.5 of it is better"),
        (0.9, "right", "no step"),
        (2.5, "too short", "2.5 steps are better"),
        (9, "too short", "3 steps or more are better"),
        (-1, "too far", "it raised the loss of its own batch"),
    ],
)
def test_a_line_search_says_whether_the_step_was_right(recorded, least, word, why):
    recorded.trains(1)
    recorded.details(LINE_SEARCH, searched(least))
    lines = drawn(line_search, recorded, (80, 15)).splitlines()
    assert lines[0].startswith(f" {word}: {why}")
    assert lines[0].endswith(" · step 23 · cross-entropy")
    signs = [line.index(sign) for sign in "○●" for line in lines[1:13] if sign in line]
    assert [round((at - 7) / 71 * 4 - 1, 1) for at in signs] == [0, 1]


def test_of_several_ranks_it_says_that_the_first_one_is_looked_at(recorded):
    begun = recorded.now().started
    recorded.records(replace(begun, environment={"ranks": "2"}))
    recorded.trains(1)
    recorded.details(LINE_SEARCH, searched(1))
    recorded.details(BATCH, BODY)
    assert "64 samples, below rank 0's" in drawn(batch.steps, recorded)
    assert "cross-entropy, rank 0's samples" in drawn(line_search, recorded)


def test_a_run_that_starts_anew_says_above_its_charts_what_it_waits_for(recorded):
    recorded.trains(1)
    recorded.records(StartupReached("waiting for 2 hosts at ash:29400"))
    (line,) = header(recorded.now(), (), 140)
    said = "".join(span.text for span in line)
    assert said.rstrip().endswith("waiting for 2 hosts at ash:29400 …  ● starting")


def test_a_step_to_a_loss_that_is_not_finite_is_too_far_and_a_flat_line_is_flat():
    losses = [1.0 if place < 1 else math.inf for place in PLACES]
    assert verdict(LineSearch(tuple(PLACES), tuple(losses))).word == "too far"
    flat = verdict(LineSearch(tuple(PLACES), (1.0,) * 17))
    assert flat[:2] == ("flat", "the loss hardly changes along the step")


def test_of_a_watched_script_it_is_not_measured_nor_is_a_surface(recorded):
    run = replace(recorded.now(), spec=replace(recorded.spec, watched=("train.py",)))
    for panel, said in ((line_search, "not measured: only the script can repeat a batch"),
                        (surface, "no outputs are recorded"), (fit.fit, "no epoch")):  # fmt: skip
        assert said in plain(panel(run, reads(recorded), 80, 5))


def test_without_a_line_search_it_says_how_to_get_one(recorded):
    recorded.trains(1)
    assert ". trains one batch and measures it" in drawn(line_search, recorded)


def test_without_a_matrix_it_says_why(recorded):
    assert "no epoch is validated yet" in drawn(model.confusion, recorded)
    recorded.trains(1)
    assert "no confusion matrix of the last epoch" in drawn(model.confusion, recorded)


def test_the_loss_in_use_is_drawn_with_the_samples_and_the_others_by_name(recorded):
    recorded.trains(1)
    recorded.details(LOSS_CURVES, CURVES)
    recorded.details(BATCH, BODY)
    said = drawn(loss_curve.curve, recorded)
    assert "cross-entropy  ● the first 2 samples of step 23" in said
    assert said.count("●") == 3
    assert "mse" in said
    assert "log-odds of the right class" in said
    table = drawn(loss_curve.lesson, recorded)
    assert "−log softmax(z)[y]" in table
    line = next(line for line in table.splitlines() if "● cross-entropy" in line)
    assert line.split()[2:] == ["5.007", "-0.99", "0.6931", "-0.5", "0.0067", "-0.0067"]


def test_before_the_task_is_loaded_its_outputs_are_not_said_to_have_no_axis(recorded):
    begun = Snapshot.begin("a", Path("a"), recorded.spec, 0.0)
    said = plain(loss_curve.curve(begun, reads(recorded), 80, 10))
    assert said.strip() == "digits is not loaded yet"


def test_behind_a_loss_are_the_usual_one_those_used_and_as_many_others_as_have_room(recorded):
    curves = {
        name: {"values": [height * value for value in CURVES["curves"]["cross-entropy"]["values"]],
               "slopes": X}
        for name, height in {
            "cross-entropy": 1, "nll": 1, "bce-with-logits": 0.8, "focal": 0.6, "multi-margin": 0.4,
            "brier": 0.3, "mse": 0.2, "l1": 0.1,
        }.items()
    }  # fmt: skip
    recorded.trains(1)
    recorded.swaps("mse")
    recorded.trains(1)
    recorded.swaps("cross-entropy")
    recorded.trains(1)
    recorded.details(LOSS_CURVES, {**CURVES, "curves": curves})
    few = {"bce-with-logits", "l1", "mse"}
    for size, expected in (
        ((80, 19), few), ((60, 22), few), ((80, 40), {*curves} - {"cross-entropy", "nll"})
    ):  # fmt: skip
        canvas = drawn(loss_curve.curve, recorded, size).split("\n", 1)[1]
        names = {name for name in curves if name in canvas}
        assert names == expected, "nll would lie on cross-entropy"
        assert all(name in drawn(loss_curve.lesson, recorded) for name in curves)


def test_samples_of_another_loss_are_not_drawn(recorded):
    recorded.trains(1)
    recorded.details(LOSS_CURVES, CURVES)
    recorded.details(BATCH, BODY)
    recorded.swaps("mse")
    said = drawn(loss_curve.curve, recorded)
    assert said.splitlines()[0].strip().startswith("mse")
    assert "●" not in said


def test_a_record_without_curves_says_so(recorded):
    recorded.trains(1)
    assert "this record has no loss curves" in drawn(loss_curve.curve, recorded)


def test_health_has_a_chart_of_each_series_and_says_when_data_starve_the_loop(recorded):
    recorded.trains(2)
    recorded.measures(GRADIENT_NORM, lambda step: 1 / step)
    for part, series in SHARES.items():
        recorded.measures(series, lambda step, part=part: 0.75 if part == "data" else 0.05)
    run = recorded.now()
    delta = recorded.reader.since(Cursor(), lambda _events: run.segments)
    run = fold(run, delta, alive=True)
    said = plain(trends(run, reads(recorded), 100, 30))
    assert re.search("gradient-norm +0.02174  0.02174 to 1", said)
    assert re.search("lr +0.001", said)
    assert "0.001 to" not in said, "it has one value"
    assert "share-data" not in said
    assert any(0x2800 < ord(cell) <= 0x28FF for cell in said)
    said = plain(health.shares(run, reads(recorded), 100, 30))
    assert "75%  it waits for data" in said
    assert "no GPU" in said


def test_before_a_device_is_known_none_is_said_not_to_be_measured(recorded):
    begun = Snapshot.begin("a", Path("a"), new_spec("digits"), 0.0)
    assert "its device is not known yet" in plain(health.shares(begun, reads(recorded), 100, 30))


def test_layers_have_their_place_by_the_line_at_a_thousandth_and_their_dead_units(recorded):
    recorded.trains(1)
    assert "layers are not in the record" in drawn(layers, recorded)
    recorded.details(LAYERS, DEEP)
    heading, stem, block, *others = drawn(layers, recorded, (100, 40)).splitlines()
    assert heading.split() == ["step", "23", "-6", "-3", "0", "log10", "gradient", "dead", "units"]
    assert stem.split() == ["stem", "Conv2d", "●", "-3.0", "0.5000", "25%", "of", "64"]
    assert stem.index("●") == block.index("┊") == heading.index("-3") + 1
    assert block.index("●") < block.index("┊")
    still, head, wild, gone = others[29:33]
    assert still.split() == ["still", "Linear", "◂", "┊", "-∞", "0.5000", "–"]
    assert head.split() == ["head", "Linear", "┊", "–", "0.5000", "–"]
    assert wild.split() == ["wild", "Linear", "┊", "▸", "1.0", "0.5000", "–"]
    assert gone.endswith("100% of 128")


def test_where_there_is_no_room_for_all_layers_the_worst_off_are_shown_in_their_order(recorded):
    recorded.trains(1)
    recorded.details(LAYERS, DEEP)
    heading, *rows = drawn(layers, recorded, (46, 5)).splitlines()
    assert heading.startswith(" 4 worst of 35")
    assert [row.split()[0] for row in rows] == ["stem", "still", "wild", "gone"]
    assert all(len(row) < 46 for row in rows)


LINES = ["loading", "\x1b[31mred\x1b[0m", "10%\r20%\r", "beep \x07", "x" * 150, "Loaded it"]


def test_output_is_shown_as_a_terminal_leaves_it_but_harmless(recorded):
    said = drawn(output, recorded, lines=LINES).splitlines()
    assert said[:4] == [" loading", " red", " 20%", " beep ␇"]
    assert [len(line) for line in said[4:6]] == [100, 52]
    assert said[6] == " Loaded it"
    assert "nothing was printed" in drawn(output, recorded)


def test_a_search_keeps_the_lines_that_have_it(recorded):
    said = drawn(output, recorded, lines=LINES, search="LOAD").splitlines()
    assert [line for line in said if line] == [
        " 2 of the last 6 lines have LOAD", " loading", " Loaded it"
    ]  # fmt: skip


def worst_of(*samples: dict[str, object]) -> dict[str, object]:
    return {"epoch": 1, "samples": [{"number": 4, "true": 7, "predicted": 1, "score": 0.891, **more}
                                    for more in samples]}  # fmt: skip


def test_the_worst_samples_are_drawn_as_pictures_with_what_they_are_and_what_the_model_says(
    recorded,
):
    recorded.trains(1)
    recorded.details(
        WORST, worst_of({"width": 2, "pixels": "0ff0"}, {"width": 2, "pixels": "8888"})
    )
    lines = drawn(worst, recorded).splitlines()
    assert lines[0] == " epoch 1 · most confidently wrong first"
    assert lines[1] == lines[8] == f" {'▀' * 16}{' ' * 6}{'▀' * 16}", "enlarged to 16 pixels"
    assert lines[9].split() == ["is", "7", "is", "7"]
    assert lines[10].split() == ["says", "1", "(89%)"] * 2
    picture = worst(recorded.now(), reads(recorded), 100, 30)
    bright = [[span.role.halves for span in line if span.text == "▀"] for line in picture]
    assert bright[1] == ["00"] * 8 + ["ff"] * 8 + ["88"] * 16
    assert bright[8] == ["ff"] * 8 + ["00"] * 8 + ["88"] * 16


def test_a_picture_without_room_is_shrunk_and_samples_without_room_for_theirs_are_lines(recorded):
    recorded.trains(1)
    checkered = "0f" * 14 + "f0" * 14
    recorded.details(WORST, worst_of(*[{"width": 28, "pixels": checkered * 14}] * 7))
    lines = drawn(worst, recorded, (100, 30)).splitlines()
    assert lines[14].count("▀") == 3 * 28
    assert sum("sample 4" in line for line in lines) == 4
    picture = worst(recorded.now(), reads(recorded), 100, 12)
    assert {span.role.halves for span in picture[1] if span.text == "▀"} == {"77"}


def test_the_most_wrong_sample_of_a_batch_is_shown_before_and_after_its_step(recorded):
    recorded.trains(1)
    assert ". trains one batch and takes its most wrong sample apart" in drawn(sample, recorded)
    recorded.details(SAMPLE, TAKEN_APART)
    lines = drawn(sample, recorded, (100, 8)).splitlines()
    assert lines[0] == " sample 5 of step 23, its most wrong: class 7"
    assert lines[1].split()[1:] == ["logit", "before", "logit", "after"]
    assert lines[2].split()[1:4] == ["1", "4.00", "0.726"]
    assert re.search(r"▸ 7 +3\.00 +0\.267 █+[▉-▏]? +3\.50 +0\.617 █+", lines[3])
    assert not lines[4].split()[2].startswith("0.5"), "the others have less"
    assert "▸ 7" in drawn(sample, recorded, (60, 3)), "the true class has the last row"


def test_the_samples_that_are_nearly_as_wrong_are_shown_one_after_another(recorded):
    recorded.trains(1)
    others = [TAKEN_APART | {"number": number, "true": number} for number in (8, 2)]
    recorded.details(SAMPLE, TAKEN_APART | {"others": others})
    every = reads(recorded)
    for at, said in (
        (0, "sample 5 of step 23, its most wrong (← →): class 7"),
        (1, "sample 9 of step 23, its 2nd most wrong (← →): class 8"),
        (-1, "sample 3 of step 23, its 3rd most wrong (← →): class 2"),
        (3, "sample 5 of step 23, its most wrong"),
    ):
        shown = sample(recorded.now(), every._replace(sample=lambda at=at: at), 100, 8)
        assert plain(shown).startswith(f" {said}")


def test_the_gradient_of_a_sample_by_its_logits_stands_where_there_is_room_for_bars(recorded):
    recorded.trains(1)
    gradient = [0.002, 0.726, *[0.001] * 5, -0.733, 0.001, 0.001]
    recorded.details(SAMPLE, TAKEN_APART | {"gradient": gradient})
    lines = drawn(sample, recorded, (100, 8)).splitlines()
    assert lines[1].endswith("  gradient")
    assert lines[2].endswith("    +0.726")
    assert lines[3].endswith("    -0.733")
    assert "█" in lines[3]
    assert "gradient" not in drawn(sample, recorded, (60, 8))
    recorded.details(SAMPLE, TAKEN_APART)
    assert "gradient" not in drawn(sample, recorded, (100, 8)), "an older record has none"


def test_what_the_model_says_of_numbers_stands_below_each_other(numbers):
    numbers.details(WORST, worst_of({"true": 52}, {"true": 302.5}))
    lines = drawn(worst, numbers, (80, 4)).splitlines()[1:3]
    assert lines[0].index("predicted") == lines[1].index("predicted")


def test_samples_without_pictures_or_room_are_a_list(recorded):
    recorded.trains(1)
    recorded.details(WORST, worst_of({}))
    assert "sample 4     is 7  says 1 (89%)" in drawn(worst, recorded)
    recorded.details(WORST, worst_of({"width": 2, "pixels": "0f" * 40}))
    assert "sample 4     is 7  says 1 (89%)" in drawn(worst, recorded, (100, 4))
    recorded.details(WORST, worst_of())
    assert "epoch 1: no validation sample is wrong" in drawn(worst, recorded)
