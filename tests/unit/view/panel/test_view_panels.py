"""The panels of the views, drawn from records: what they say, and what they say is missing."""

import math
import re
from contextlib import suppress

import pytest

from tests.recorded import RecordedRun
from tuitrain.catalog import new_spec
from tuitrain.core.detail import BATCH, CONFUSION, LAYERS, LOSS_CURVES, WORST
from tuitrain.core.errors import DamagedRecord
from tuitrain.core.events import Paused
from tuitrain.core.series import GRADIENT_NORM, SHARES
from tuitrain.store.delta import Cursor
from tuitrain.tui.views import VIEWS
from tuitrain.view.chart.curves import Curves
from tuitrain.view.chart.trends import trends
from tuitrain.view.panel import batch, health, loss_curve, model
from tuitrain.view.panel.layers import layers
from tuitrain.view.panel.output import output
from tuitrain.view.panel.reads import Reads
from tuitrain.view.panel.worst import worst
from tuitrain.view.picture import plain
from tuitrain.view.state.fold import fold
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


def layer(name: str, update: float | str | None, **more: object) -> dict[str, object]:
    return {"name": name, "gradient_norm": 0.5, "update_ratio": update, **more}


DEEP = {"layers": [
    layer("stem Conv2d", 1e-3, dead=0.25, units=64),
    *(layer(f"blocks.{number} Linear", 1e-4, dead=0.0, units=8) for number in range(30)),
    layer("still Linear", 0.0), layer("head Linear", "nan"), layer("wild Linear", 10.0),
    layer("gone Linear", 1e-3, dead=1.0, units=128),
]}  # fmt: skip


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
            for name, body in (
                (BATCH, BODY), (LOSS_CURVES, CURVES), (CONFUSION, counts(10)), (LAYERS, DEEP)
            ):  # fmt: skip
                recorded.details(name, body)
        for panel in panels:
            picture = panel.draw(recorded.now(), reads(recorded, ["one", "two"]), *size)
            cells = {sum(width_of(span.text) for span in line) for line in picture}
            assert (len(picture), cells) == (size[1], {size[0]}), panel.id


DAMAGED = [
    {}, {"counts": [[1, 2]]}, {**BODY, "losses": ["x"]}, {**BODY, "input": "x" * 300},
    {"axis": "log-odds", "places": [], "curves": {}},
    {"axis": "log-odds", "places": X, "curves": {"cross-entropy": {"values": [1.0], "slopes": []}}},
    {"epoch": 1, "samples": [{"number": -1, "true": 0, "predicted": 0, "score": 0}]},
    {"epoch": 1, "samples": [{"number": 1, "true": 0, "predicted": 0, "score": 0, "pixels": "g"}]},
    {"layers": [{"name": "x" * 300, "gradient_norm": 1.0}]},
]  # fmt: skip


@pytest.mark.parametrize("body", DAMAGED)
def test_a_damaged_detail_is_missing_or_said_to_be_damaged(recorded, body):
    recorded.trains(1)
    for name in (BATCH, CONFUSION, LAYERS, LOSS_CURVES, WORST):
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
    assert "gradient norm NaN at step 23" in said
    assert "the loss of the first 2 samples at step 23: 0.2500  2.500" in said


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
    assert first.split()[:5] == ["0", "10", "0.700", "1.000", "0.824"]


def test_without_a_matrix_it_says_why(run_paths, recorded):
    assert "no epoch is validated yet" in drawn(model.confusion, recorded)
    recorded.trains(1)
    assert "no confusion matrix of the last epoch" in drawn(model.confusion, recorded)
    numbers = RecordedRun(run_paths.record.with_name("b.db"), new_spec("diabetes"))
    numbers.trains(1)
    assert "numbers have no confusion matrix" in drawn(model.confusion, numbers)
    numbers.close()


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
    assert "share-data" not in said
    assert any(0x2800 < ord(cell) <= 0x28FF for cell in said)
    assert "75%  it waits for data" in plain(health.shares(run, reads(recorded), 100, 30))


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
    assert lines[1] == f"   ██{' ' * 18}▒▒▒▒"
    assert lines[2] == f" ██{' ' * 20}▒▒▒▒"
    assert lines[3].split() == ["is", "7", "is", "7"]
    assert lines[4].split() == ["says", "1", "(89%)"] * 2


def test_samples_without_pictures_or_room_are_a_list(recorded):
    recorded.trains(1)
    recorded.details(WORST, worst_of({}))
    assert "sample 4     is 7  says 1 (89%)" in drawn(worst, recorded)
    recorded.details(WORST, worst_of({"width": 2, "pixels": "0f" * 40}))
    assert "sample 4     is 7  says 1 (89%)" in drawn(worst, recorded)
    recorded.details(WORST, worst_of())
    assert "epoch 1: no validation sample is wrong" in drawn(worst, recorded)
