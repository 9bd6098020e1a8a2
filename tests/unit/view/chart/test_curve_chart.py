"""Charts of numbers that compare: one curve or several on one axis."""

import math
from itertools import pairwise

import pytest

from tests.unit.view.chart.test_plot import cells, columns_of, rows_of
from tuitrain.view.chart import plot
from tuitrain.view.picture import plain

WIDTH, HEIGHT, PLANNED = 60, 14, 1000


def curve(values, role="validation", sign="●", stride=10):
    points = tuple((stride * number, value) for number, value in enumerate(values, 1))
    return plot.Curve(points, role, sign)


def chart(*curves, width=WIDTH, height=HEIGHT, rulers=(), **options):
    options = plot.ChartOptions(planned=PLANNED, **options)
    return plot.draw_curves(curves, width=width, height=height, options=options, rulers=rulers)


def rising(count=90):
    return [1 - math.exp(-number / 20) for number in range(count)]


def test_a_curve_goes_over_a_swap_without_a_break():
    picture = chart(curve(rising()), rulers=[450])
    drawn = columns_of(picture, "validation")
    assert drawn == set(range(min(drawn), max(drawn) + 1))
    (ruler,) = columns_of(picture, "swap")
    assert ruler in drawn
    assert plain(picture).splitlines()[-2][ruler] == "┴"


def test_a_higher_value_stands_higher():
    picture = chart(curve([0.2] * 40 + [0.8] * 40))
    rows = {x: y for y, line in enumerate(cells(picture)) for x, (_, role) in enumerate(line)
            if role == "validation"}  # fmt: skip
    assert rows[min(rows)] > rows[max(rows)]


def test_the_points_of_a_few_epochs_are_marked():
    picture = chart(curve([0.5, 0.6, 0.7], stride=300))
    assert sum(line.count(("●", "validation")) for line in cells(picture)) == 3
    assert "●" not in plain(chart(curve(rising())))


def test_one_epoch_is_seen():
    assert plain(chart(curve([0.5]))).count("●") == 1


def test_what_is_not_finite_is_a_gap_with_crosses_below_it():
    values = rising()
    values[40:60] = [math.nan, math.inf] * 10
    picture = chart(curve(values))
    bottom = cells(picture)[-3]
    crossed = {x for x, cell in enumerate(bottom) if cell == ("×", "bad")}
    assert len(crossed) > 5
    assert not set(sorted(crossed)[1:-1]) & columns_of(picture, "validation")


def test_an_outlier_is_cut_off_with_an_arrow_head_and_flattens_nothing():
    values = [*rising(40), 1e9, *[0.9] * 40]
    picture = chart(curve(values))
    assert ("▲", "warn") in cells(picture)[0]
    assert min(rows_of(picture, "validation")) <= 2
    assert "1e9" in plain(chart(curve(values), full_range=True))


def test_curves_are_told_apart_by_a_sign_of_their_own_wherever_they_run():
    one, other = curve(rising(), "smooth", "A"), curve(rising()[::-1], "swap", "B")
    picture = chart(one, other)
    for sign, role in (("A", "smooth"), ("B", "swap")):
        places = {x for line in cells(picture) for x, cell in enumerate(line)
                  if cell == (sign, role)}  # fmt: skip
        assert len(places) >= 3
    same = plain(chart(curve(rising(), "smooth", "A"), curve(rising(), "swap", "B")))
    assert "A" in same
    assert "B" in same


def test_a_dimmed_curve_is_behind_the_others_and_does_not_move_their_axis():
    alone = chart(curve(rising()))
    picture = chart(curve(rising(), stride=10), curve([5.0, 0.5, 0.6, 0.7], "past", stride=200))
    assert columns_of(picture, "past")
    for before, after in zip(cells(alone), cells(picture), strict=True):
        for old, new in zip(before, after, strict=True):
            assert new == old or (old[0] == " " and new[1] == "past")


def test_a_chart_has_the_axis_of_steps_that_it_is_told():
    ends = plain(chart(curve(rising(3)), newest=660)).splitlines()[-1].split()
    assert ends[-1] == "600"
    assert plain(chart(curve(rising(3)))).splitlines()[-1].split()[-1] == "30"


def test_a_low_chart_has_its_numbers_in_a_thin_axis():
    lines = plain(chart(curve(rising()), height=6)).splitlines()
    assert len(lines) == 6
    assert lines[-1].lstrip().startswith("└0──")
    assert lines[-1].endswith("800────────1k")


def test_numbers_beside_an_axis_do_not_crowd_each_other():
    for height in range(3, 12):
        numbered = [y for y, line in enumerate(plain(chart(curve(rising()), height=height))
                    .splitlines()) if "┤" in line]  # fmt: skip
        assert all(below - above > 1 for above, below in pairwise(numbered))


@pytest.mark.parametrize("log_y", [False, True])
@pytest.mark.parametrize(
    "values",
    [[], [0.0], [math.nan] * 5, [math.inf, -math.inf], [-1.0] * 9, [1e308, -1e308], [5e-324] * 9],
)
def test_no_values_are_too_strange_to_be_drawn(values, log_y):
    for height in (2, 5, 14):
        picture = chart(curve(values), curve(values, "past"), height=height, log_y=log_y)
        assert len(picture) == height
        assert all(sum(len(piece.text) for piece in line) == WIDTH for line in picture)
