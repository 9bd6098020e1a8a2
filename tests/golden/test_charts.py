"""Charts as text, compared sign by sign.

To have one drawn anew delete its file and run the test, which fails once; then look at it.
"""

import math
import random
from contextlib import closing
from pathlib import Path

import pytest

from tests.recorded import RecordedRun, in_home
from tests.recorded import decay as decaying
from tuitrain.store.rollup import level_for, summed
from tuitrain.view.chart import compare, multiples, plot
from tuitrain.view.chart.curves import Curves
from tuitrain.view.picture import Picture, plain

HERE = Path(__file__).parent
WIDTH, HEIGHT = 80, 16
SIZE = 1 << level_for(2000, plot.canvas_columns(WIDTH))


def compared(name: str, *segments: plot.Segment) -> str:
    options = plot.ChartOptions(planned=2000)
    return kept(name, plot.draw_losses(segments, width=WIDTH, height=HEIGHT, options=options))


def kept(name: str, picture: Picture) -> str:
    text = plain(picture) + "\n"
    file = HERE / f"{name}.txt"
    if not file.exists():
        file.write_text(text, encoding="utf-8")
        pytest.fail(f"{file.name} was drawn anew: look at it")
    assert text == file.read_text(encoding="utf-8")
    return text


def segment(name: str, losses: list[float], first: int = 1) -> plot.Segment:
    ends = range(0, len(losses), SIZE)
    buckets = tuple(summed(losses[at : at + SIZE], first + at) for at in ends)
    epochs = tuple((first + at, losses[at] + 0.02) for at in range(199, len(losses), 200))
    return plot.Segment(name, first, first + len(losses) - 1, buckets, epochs)


def decay(first: int, last: int, scale: float = 1.0) -> list[float]:
    noise = random.Random(first)
    return [
        scale * (0.1 + 2.2 * math.exp(-step / 250) + 0.15 * noise.random())
        for step in range(first, last + 1)
    ]


def test_a_decaying_loss_swapped_at_two_fifths_of_the_axis():
    text = compared(
        "swap",
        segment("cross-entropy", decay(1, 800)),
        segment("mse", decay(801, 1650, scale=0.1), 801),
    )
    lines = text.splitlines()
    assert "cross-entropy 0." in lines[0]
    assert "│mse ▸" in lines[0]
    swap = lines[0].index("│mse")
    assert lines[-2][swap] == "┴"
    assert 0.39 < (swap - 5) / (WIDTH - 5) < 0.41
    assert any(0x2800 < ord(sign) <= 0x28FF for sign in lines[3][swap + 1 :]), "validations"
    assert lines[-1].split() == ["0", "500", "1k", "1.5k", "2k"]


def test_one_spike_of_900_among_losses_below_3():
    losses = decay(1, 1650)
    losses[1000] = 900.0
    text = compared("spike", segment("cross-entropy", losses))
    lines = text.splitlines()
    assert lines[0].rstrip().endswith("▲ 1 above")
    assert sum(line.count("▲") for line in lines) == 2
    assert "900" not in text
    assert "2┤" in lines[4], "the axis fits the losses without it"


def test_a_loss_that_turned_to_nan_and_came_back():
    losses = decay(1, 1650)
    losses[600:900] = [math.nan] * 300
    lines = compared("gap", segment("cross-entropy", losses)).splitlines()
    first, last = lines[-3].index("×"), lines[-3].rindex("×")
    assert last - first > 8
    assert not any(line[first + 2 : last].strip("×\n ") for line in lines[1:-2])


def test_a_run_that_has_not_begun():
    text = compared("empty")
    lines = text.splitlines()
    assert lines[-2].lstrip().startswith("└")
    assert lines[-1].split() == ["0", "5", "10", "15", "20"]
    assert not any(0x2800 <= ord(sign) <= 0x28FF for sign in text)


def test_a_swap_that_was_undone_stays_behind_the_line_that_went_on():
    left = segment("mse", decay(801, 1650, scale=0.1), 801)._replace(is_abandoned=True)
    line = segment("cross-entropy", decay(1, 1200))._replace(takes=((1, 1), (801, 2)))
    lines = compared("left", left, line).splitlines()
    undone = lines[0].index("↶ take 2")
    assert "┴" not in lines[-2], "nothing was swapped"
    assert "▸" not in lines[0]
    beyond = range(5 + 75 * 1250 // 2000, WIDTH)
    assert "mse" not in lines[0], "it is no part of the line"
    assert any(0x2800 < ord(sign) <= 0x28FF for line in lines for sign in line[beyond[0] :])
    assert 0.39 < (undone - 5) / (WIDTH - 5) < 0.41


def test_curves_that_compare_go_over_a_swap_and_what_was_undone_stays_behind_them(tmp_path):
    with closing(RecordedRun(tmp_path / "run.db")) as run:
        run.trains(10)
        run.swaps("mse")
        run.trains(12, lambda step: 2 * decaying(step))
        run.goes_back(16, "mse")
        run.trains(4, lambda step: 0.5 * decaying(step))
        picture = multiples.of_run(run.now(), Curves(run.reader), WIDTH, 9)
    lines = kept("comparable_curves", picture).splitlines()
    assert [name for name in lines[0].split() if name[0] in "▸abcdefgh"] == [
        "accuracy", "cross-entropy", "▸mse"
    ]  # fmt: skip
    assert lines[0].count("★") == 2, "the name of the second one is too long"
    assert lines[-1].count("┴") == 3, "a swap in each, and no other for the undo"
    assert lines[-1].count("500") == 3


def test_two_runs_over_each_other(tmp_path):
    with closing(in_home(tmp_path, "one")) as one, closing(in_home(tmp_path, "two")) as other:
        one.trains(25)
        other.trains(10, lambda step: 1.5 * decaying(step))
        other.swaps("mse")
        other.trains(20, lambda step: 0.7 * decaying(step))
        found = compare.read_all([one.now(), other.now()], [one.reader, other.reader], 200)
    lines = kept("compare", compare.page(found, 0, 100, 18)).splitlines()
    assert lines[0].split()[:5] == ["accuracy", "A", "0.9508", "B", "0.9715"]
    assert lines[5].endswith("──30")
    text = "\n".join(lines)
    assert min(text.count("A"), text.count("B")) >= 14
    assert text.count("◆") == 7


def test_an_overfitted_run_in_a_pipe_has_both_losses_on_a_logarithmic_axis():
    losses = [2.3 * math.exp(-step / 120) + 2e-5 for step in range(1650)]
    epochs = tuple((step, 0.2 + step / 8000) for step in range(100, 1650, 100))
    overfitted = segment("cross-entropy", losses)._replace(validations=epochs)
    options = plot.ChartOptions(planned=2000, has_colour=False)
    picture = plot.draw_losses([overfitted], width=WIDTH, height=HEIGHT, options=options)
    lines = kept("overfitted", picture).splitlines()
    assert [line[:5].strip() for line in lines if "┤" in line] == [
        "1┤",
        "0.1┤",
        "0.01┤",
        "1e-3┤",
        "1e-4┤",
    ]
    assert sum(line.count("o") + line.count("°") for line in lines[2:-2]) == len(epochs)
