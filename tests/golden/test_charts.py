"""Charts as text, compared sign by sign.

To have one drawn anew delete its file and run the test, which fails once; then look at it.
"""

import math
import random
from pathlib import Path

import pytest

from tuitrain.store.rollup import level_for, summed
from tuitrain.view import plot
from tuitrain.view.picture import plain

HERE = Path(__file__).parent
WIDTH, HEIGHT = 80, 16
SIZE = 1 << level_for(2000, plot.canvas_columns(WIDTH))


def compared(name: str, *segments: plot.Segment) -> str:
    options = plot.ChartOptions(planned=2000)
    text = plain(plot.draw_losses(segments, width=WIDTH, height=HEIGHT, options=options)) + "\n"
    kept = HERE / f"{name}.txt"
    if not kept.exists():
        kept.write_text(text, encoding="utf-8")
        pytest.fail(f"{kept.name} was drawn anew: look at it")
    assert text == kept.read_text(encoding="utf-8")
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
    assert "●" in text
    assert lines[-1].split() == ["0", "500", "1k", "1.5k", "2k"]


def test_one_spike_of_900_among_losses_below_3():
    losses = decay(1, 1650)
    losses[1000] = 900.0
    text = compared("spike", segment("cross-entropy", losses))
    lines = text.splitlines()
    assert lines[0].rstrip().endswith("▲ 1 above")
    assert sum(line.count("▲") for line in lines) == 2
    assert "900" not in text
    assert lines[1].startswith("   3┤") or "2.5┤" in text


def test_a_loss_that_turned_to_nan_and_came_back():
    losses = decay(1, 1650)
    losses[600:900] = [math.nan] * 300
    lines = compared("gap", segment("cross-entropy", losses)).splitlines()
    first, last = lines[-3].index("×"), lines[-3].rindex("×")
    assert last - first > 8
    assert not any(line[first + 1 : last].strip("×\n ") for line in lines[1:-2])


def test_a_run_that_has_not_begun():
    text = compared("empty")
    lines = text.splitlines()
    assert lines[-2].lstrip().startswith("└")
    assert lines[-1].split() == ["0", "5", "10", "15", "20"]
    assert not any(0x2800 <= ord(sign) <= 0x28FF for sign in text)
