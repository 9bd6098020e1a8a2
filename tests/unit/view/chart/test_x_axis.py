"""The x axis: labels in each unit, and the way from steps to places and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuitrain.view.chart import plot
from tuitrain.view.chart.x_axis import STEPS, UNITS, XMap, labels, live_end
from tuitrain.view.picture import plain


@given(st.floats(0, 1e9), st.floats(1e-3, 1e9), st.sampled_from(UNITS), st.integers(1, 20))
def test_an_axis_has_labels_within_and_all_of_them_differ(first, length, unit, count):
    length = max(length, 8.0, first * 1e-3) if unit != "time" else max(length, first * 1e-3)
    found = labels(first, first + length, unit, count)
    assert all(first - 1e-6 * length <= x <= first + length * (1 + 1e-6) for x, _ in found)
    assert [x for x, _ in found] == sorted({x for x, _ in found})


@pytest.mark.parametrize("end", [20, 450, 920, 1380, 2231, 96_000, 7_000_000])
@pytest.mark.parametrize("width", [16, 24, 26, 28, 40, 80, 200])
@pytest.mark.parametrize("height", [6, 14])
def test_a_chart_with_room_for_two_labels_has_two(end, width, height):
    curve = plot.Curve(((1, 0.5), (end, 0.1)))
    options = plot.ChartOptions(planned=end, newest=end)
    picture = plot.draw_curves([curve], width=width, height=height, options=options)
    numbers = plain(picture).splitlines()[-1].replace("─", " ").replace("└", " ").split()
    assert len(numbers) >= 2
    assert numbers[0] == "0"


@pytest.mark.parametrize(
    ("ends", "unit", "texts"),
    [
        ((0, 920), "step", ["0", "500"]),
        ((12_330, 12_370), "step", ["12,340", "12,360"]),
        ((0, 2), "epoch", ["0", "1", "2"]),
        ((11.5, 13), "epoch", ["12", "13"]),
        ((0, 1_437_000), "samples", ["0", "1M"]),
        ((0, 0.045), "time", ["0s", "0.02s", "0.04s"]),
        ((0, 100), "time", ["0:00", "1:00"]),
        ((0, 9_000), "time", ["0:00", "2h00m"]),
    ],
)
def test_labels_are_round_numbers_of_their_unit(ends, unit, texts):
    assert [text for _, text in labels(*ends, unit, 2)] == texts


def test_time_of_a_short_run_fills_the_axis():
    assert live_end(0.31, 0, "time") == 0.45
    assert live_end(3 * 3600, 0, "time") == 15_000


@given(st.lists(st.floats(0.1, 100), min_size=2, max_size=9), st.floats(-5, 200))
def test_the_way_back_from_a_place_leads_to_its_step(lengths, step):
    knots, x = [], 0.0
    for at, length in enumerate(lengths):
        x += length
        knots.append((10.0 * at, x))
    assert XMap(tuple(knots)).step(XMap(tuple(knots)).x(step)) == pytest.approx(step, abs=1e-6)
    assert STEPS.step(STEPS.x(step)) == step
