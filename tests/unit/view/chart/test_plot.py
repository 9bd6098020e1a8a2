import math
import subprocess
import sys
import threading
from itertools import pairwise

import pytest

from tuitrain.store.rollup import level_for, summed
from tuitrain.view.chart import loss_chart, plot
from tuitrain.view.chart.scale import nice_end
from tuitrain.view.picture import plain

WIDTH, HEIGHT, PLANNED = 80, 16, 10_000


def gathered(losses, first=1, size=64):
    return tuple(summed(losses[at : at + size], first + at) for at in range(0, len(losses), size))


def segment(losses, name="mse", first=1, size=64, validations=()):
    last = first + len(losses) - 1
    return plot.Segment(name, first, last, gathered(losses, first, size), tuple(validations))


def decay(first, last):
    return [0.1 + 2 * math.exp(-step / 1000) + 0.1 * (step % 3) for step in range(first, last + 1)]


def chart(*segments, width=WIDTH, height=HEIGHT, planned=PLANNED, **options):
    options = plot.ChartOptions(planned=planned, **options)
    return plot.draw_losses(segments, width=width, height=height, options=options)


def cells(picture):
    return [[(sign, piece.role) for piece in line for sign in piece.text] for line in picture]


def roles(picture):
    return {piece.role for line in picture for piece in line}


def columns_of(picture, role):
    return {x for line in cells(picture) for x, (_, its) in enumerate(line) if its == role}


def rows_of(picture, role):
    return {y for y, line in enumerate(cells(picture)) for _, its in line if its == role}


def test_a_chart_has_axes_with_numbers_and_no_box():
    lines = plain(chart(segment(decay(1, 6000)))).splitlines()
    assert lines[-2].lstrip().startswith("└")
    assert lines[-1].split() == ["0", "1k", "2k", "3k", "4k", "5k", "6k", "7k"]
    assert any(line.lstrip().startswith("0┤") for line in lines)
    assert not any(sign in line for line in lines for sign in "┐┘┌")


def test_raw_losses_are_a_band_and_their_mean_a_line_over_it():
    picture = chart(segment(decay(1, 6000)))
    assert {"envelope", "smooth", "axis"} <= roles(picture)
    assert columns_of(picture, "smooth") >= columns_of(picture, "envelope")


def test_a_spike_of_900_neither_flattens_the_curve_nor_is_kept_quiet():
    losses = decay(1, 6000)
    losses[3000] = 900.0
    spiked, calm = chart(segment(losses)), chart(segment(decay(1, 6000)))
    assert "▲ 1 above" in plain(spiked).splitlines()[0]
    numbers = [plain(picture).count("┤") for picture in (spiked, calm)]
    assert numbers[0] == numbers[1]
    heads = [
        x for line in cells(spiked)[1:] for x, cell in enumerate(line) if cell == ("▲", "warn")
    ]
    assert len(heads) == 1
    assert "above" not in plain(chart(segment(losses), full_range=True))
    assert "500┤" in plain(chart(segment(losses), full_range=True))


def test_one_spike_does_not_lift_the_smoothed_line():
    losses = decay(1, 6000)
    losses[3000] = 900.0
    spiked, calm = cells(chart(segment(losses))), cells(chart(segment(decay(1, 6000))))
    moved = [
        (x, y)
        for y, (one, other) in enumerate(zip(spiked, calm, strict=True))
        for x, (a, b) in enumerate(zip(one, other, strict=True))
        if (a[1] == "smooth") != (b[1] == "smooth")
    ]
    assert len(moved) <= 2


def test_losses_that_are_not_finite_leave_a_gap_with_crosses_below_it():
    losses = decay(1, 6000)
    losses[3000:4000] = [math.nan, math.inf] * 500
    picture = chart(segment(losses))
    crossed = {
        x for x, (sign, role) in enumerate(cells(picture)[-3]) if (sign, role) == ("×", "bad")
    }
    drawn = columns_of(picture, "envelope") | columns_of(picture, "smooth")
    inside = set(sorted(crossed)[1:-1])
    assert len(inside) > 8
    assert not inside & drawn


def test_one_loss_that_is_not_finite_among_thousands_is_seen():
    losses = decay(1, 6000)
    losses[3000] = math.nan
    assert plain(chart(segment(losses))).count("×") == 1


def test_validations_are_a_line_through_points_at_the_height_of_dots():
    picture = chart(segment(decay(1, 6000), validations=[(3000, 1.5), (5000, 0.5)]))
    drawn = sorted(columns_of(picture, "validation"))
    assert drawn == list(range(drawn[0], drawn[-1] + 1)), "no gap"
    heights = {
        x: y for y, line in enumerate(cells(picture)) for x, (_, role) in enumerate(line)
        if role == "validation"
    }  # fmt: skip
    assert heights[drawn[0]] < heights[drawn[-1]]


def test_two_validations_that_differ_by_a_quarter_of_a_row_do_not_look_the_same():
    rows = HEIGHT - 3
    values = [1.0, 1.0 + 2.2 / rows / 4]
    one, other = (chart(segment(decay(1, 6000), validations=[(4000, value)])) for value in values)
    assert plain(one) != plain(other)


def test_without_colours_validations_are_letters_and_losses_are_dots():
    points = [(3000, 1.5), (5000, 0.5)]
    text = plain(chart(segment(decay(1, 6000), validations=points), has_colour=False))
    assert sum(text.count(sign) for sign in "o°") == 2


def test_a_validation_out_of_range_or_not_a_number_is_not_drawn_where_it_is_not():
    validations = [(step, 1.0) for step in range(1000, 3000, 100)]
    validations[5:7] = [(validations[5][0], 1e9), (validations[6][0], math.nan)]
    picture = chart(segment(decay(1, 6000), validations=validations))
    assert "▲" in plain(picture)
    assert "×" in plain(picture)
    drawn = columns_of(picture, "validation")
    assert set(range(min(drawn), max(drawn))) - drawn, "no line over what is not there"


def test_losses_and_validations_four_decades_apart_are_both_read_off_one_axis():
    losses = [2.3 * math.exp(-step / 500) + 2e-5 for step in range(6000)]
    validations = [(step, 0.3 + step / 50_000) for step in range(200, 6000, 200)]
    picture = chart(segment(losses, validations=validations))
    for role in ("smooth", "validation"):
        rows = rows_of(picture, role)
        assert rows, role
        assert max(rows) < HEIGHT - 2
    assert "▲" not in plain(picture)
    above = max(rows_of(picture, "validation"))
    below = [y for y, line in enumerate(cells(picture)) if line[60][1] in ("smooth", "envelope")]
    assert above < min(below)


def test_another_take_with_another_loss_is_marked_as_a_take_and_not_as_a_swap():
    old = segment(decay(1, 3000), "cross-entropy")._replace(takes=((1, 1),))
    new = segment(decay(3001, 6000), "mse", 3001)._replace(takes=((3001, 2),))
    picture = chart(old, new)
    assert "↶ take 2: mse" in plain(picture)
    assert "▸" not in plain(picture)
    assert "swap" not in roles(picture)


def test_a_window_shows_its_steps_alone_over_the_whole_width():
    losses = decay(1, 6000)
    window = segment(losses[2000:2040], first=2001, size=1)
    picture = chart(window, window=(2000, 2040))
    numbers = plain(picture).splitlines()[-1].split()
    assert numbers == ["2,000", "2,010", "2,020", "2,030", "2,040"]
    assert len(columns_of(picture, "smooth") | columns_of(picture, "envelope")) > WIDTH - 10


def test_the_smoothed_line_of_a_window_goes_on_from_the_losses_before_it():
    losses = [2.0] * 3000 + [1.0] * 3000
    window = segment(losses[3000:3100], first=3001, size=1)
    known = window._replace(history=gathered(losses[2000:3000], 2001, 1))
    height = {}
    for name, one in (("alone", window), ("known", known)):
        drawing = loss_chart.laid_out(
            [one], width=WIDTH, height=HEIGHT,
            options=plot.ChartOptions(PLANNED, window=(3000, 3100), half_life=50, cursor=3050),
        )  # fmt: skip
        height[name] = drawing.smoothed
    assert height["alone"] == pytest.approx(1.0)
    assert height["known"] == pytest.approx(1.5, abs=0.02)


def test_the_smoothed_line_can_be_switched_off():
    assert "smooth" not in roles(chart(segment(decay(1, 6000)), half_life=0))


def test_the_cursor_is_a_line_behind_the_curves():
    picture = chart(segment(decay(1, 6000)), cursor=3000)
    lines = [line for line in cells(picture)[1:-2] if ("│", "text") in line]
    (column,) = {line.index(("│", "text")) for line in lines}
    assert plain(picture).splitlines()[-2][column] == "┻"
    assert columns_of(picture, "smooth") >= {column - 1, column, column + 1}


def test_at_a_swap_a_line_names_the_new_loss_and_the_old_one_keeps_its_own_range():
    old, new = segment(decay(1, 3000), "cross-entropy"), segment(decay(3001, 6000), "mse", 3001)
    picture = chart(old, new)
    top = plain(picture).splitlines()[0]
    assert top.index("cross-entropy 0.2–2.3") < top.index("│mse ▸")
    assert {"past", "swap", "muted", "envelope", "smooth"} <= roles(picture)
    swap = top.index("│mse")
    assert max(columns_of(picture, "past")) <= swap <= min(columns_of(picture, "envelope"))
    past = rows_of(picture, "past")
    assert min(past) <= 2
    assert max(past) >= HEIGHT - 4


def abandoned(losses, name="mse", first=1):
    return segment(losses, name, first)._replace(is_abandoned=True)


def test_what_was_left_behind_is_dimmed_and_covers_nothing_of_the_current_line():
    line = [segment(decay(1, 3000)), segment(decay(3001, 6000), first=3001)]
    picture = chart(abandoned([2.0] * 2000, first=3001), *line)
    assert columns_of(picture, "past")
    assert min(columns_of(picture, "past")) >= min(columns_of(chart(*line), "swap"))
    for before, after in zip(cells(chart(*line)), cells(picture), strict=True):
        for old, new in zip(before, after, strict=True):
            assert new == old or (old[0] in " │" and new[1] == "past")


def test_abandoned_segments_do_not_widen_the_axis_of_the_lineage():
    line = segment(decay(1, 6000))
    exploded = chart(abandoned([1e6] * 2000, first=3001), line)
    assert plain(exploded) == plain(chart(line))
    beyond = chart(abandoned([1.0] * 6000), segment(decay(1, 500)))
    assert plain(beyond).splitlines()[-1].split()[-1] == "7k", "its steps stay in sight"


def test_of_a_run_that_went_back_to_its_beginning_the_left_losses_have_the_axis():
    picture = chart(abandoned(decay(1, 6000)))
    assert columns_of(picture, "past")
    assert any(line.lstrip().startswith("2┤") for line in plain(picture).splitlines())


def test_segments_of_the_newest_loss_share_its_axis_and_its_colors():
    first, other, last = (
        segment([2.0] * 2000, "mse"),
        segment([70.0] * 2000, "focal", 2001),
        segment([1.0] * 2000, "mse", 4001),
    )
    picture = chart(first, other, last)
    middles = columns_of(picture, "smooth")
    rows = [y for y, line in enumerate(cells(picture)) if any(r == "smooth" for _, r in line)]
    assert len(middles) > 30
    assert min(rows) < HEIGHT / 2 < max(rows)
    assert "mse ▸" in plain(picture)
    assert "focal" in plain(picture)


def test_a_swap_never_joins_two_lines():
    high, low = segment([5.0] * 3000, "mse"), segment([1.0] * 3000, "mse", 3001)
    picture = chart(high, low)
    for line in cells(picture)[4:-7]:
        assert {role for _, role in line} <= {"text", "axis", "swap"}


def test_a_loss_that_has_no_room_is_shortened_or_left_out():
    old = segment([1.0] * 100, "an-extraordinarily-long-name-of-a-loss")
    picture = chart(old, segment([1.0] * 5000, "mse", 101))
    assert "an-extra" not in plain(picture)
    picture = chart(
        segment([1.0] * 1500, "an-extraordinarily-long"), segment([1.0] * 5000, "b", 1501)
    )
    assert "an-extra" in plain(picture)
    assert "…" in plain(picture)


def test_a_name_with_wide_or_controlling_characters_keeps_every_line_as_wide_as_asked():
    picture = chart(segment([1.0] * 3000, "損失\x1b[31m\ń"), segment([2.0] * 3000, "b", 3001))
    assert all(sum(len(piece.text) for piece in line) == WIDTH for line in picture)
    assert "\x1b" not in plain(picture)
    assert "損" not in plain(picture)


def test_a_loss_without_any_number_yet_still_has_its_line_on_the_chart():
    old = segment(decay(1, 3000), "cross-entropy")
    picture = chart(old, plot.Segment("mse", 3001, 3001, ()))
    assert "│mse 0–1" in plain(picture)


def test_an_empty_chart_has_axes_only():
    picture = chart()
    assert roles(picture) == {"text", "axis"}
    assert len(picture) == HEIGHT


@pytest.mark.parametrize("log_y", [False, True])
@pytest.mark.parametrize(
    "losses",
    [
        [0.0],
        [0.0] * 50,
        [-1.0, -2.0] * 50,
        [math.nan] * 50,
        [math.inf, -math.inf] * 50,
        [1e308, -1e308] * 50,
        [1.7e308] * 50,
        [5e-324] * 50,
        [1e16, 1e16 + 2] * 50,
    ],
)
def test_no_losses_are_too_strange_to_be_drawn(losses, log_y):
    for size in (1, 7):
        picture = chart(segment(losses, size=size), log_y=log_y)
        assert all(sum(len(piece.text) for piece in line) == WIDTH for line in picture)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (0, 0), (2, 2), (10, 3), (19, 30), (300, 4)])
def test_a_tiny_chart_is_squeezed_or_blank_and_exactly_as_large_as_asked(width, height):
    picture = chart(segment(decay(1, 6000)), width=width, height=height)
    assert len(picture) == height
    assert all(sum(len(piece.text) for piece in line) == width for line in picture)


@pytest.mark.parametrize("swap", [None, 2500])
def test_new_steps_change_only_the_cells_at_the_end(swap):
    def run(newest):
        if swap is None:
            return chart(segment(decay(1, newest)))
        return chart(
            segment(decay(1, swap), "focal"), segment(decay(swap + 1, newest), "mse", swap + 1)
        )

    pictures = {newest: cells(run(newest)) for newest in range(7100, 9900, 37)}
    for (before, old), (_, new) in pairwise(pictures.items()):
        assert nice_end(before, PLANNED) == 10_000
        changed = {
            x
            for one, other in zip(old, new, strict=True)
            for x, (a, b) in enumerate(zip(one, other, strict=True))
            if a != b
        }
        assert changed <= set(range(5 + int(before / 10_000 * (WIDTH - 5)) - 2, WIDTH))


def test_the_same_losses_give_the_same_picture_in_every_process():
    script = (
        "from tests.unit.view.chart.test_plot import chart, segment, decay, plain;"
        "import hashlib; picture = chart(segment(decay(1, 3000), 'a', validations=[(9, 1.0)]),"
        "segment(decay(3001, 6000), 'b', 3001));"
        "print(hashlib.sha256(repr(picture).encode()).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


def test_threads_that_draw_at_once_do_not_mix_their_pictures():
    sizes = [(40, 10), (80, 16), (60, 12), (100, 20)]
    alone = {size: chart(segment(decay(1, 3000)), width=size[0], height=size[1]) for size in sizes}
    wrong = []

    def draw(size):
        width, height = size
        drawn = [chart(segment(decay(1, 3000)), width=width, height=height) for _ in range(3)]
        wrong.extend(picture for picture in drawn if picture != alone[size])

    threads = [threading.Thread(target=draw, args=(size,)) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong


def test_a_chart_is_asked_for_two_buckets_a_column():
    assert plot.canvas_columns(105) == 200
    assert plot.canvas_columns(1) == 2
    assert level_for(10_000, plot.canvas_columns(80)) == 7


def test_importing_the_chart_does_not_load_plotext():
    script = "import sys, tuitrain.view.chart.plot; sys.exit('plotext' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_on_a_logarithmic_axis_a_line_of_zeros_is_said_to_lie_below():
    picture = plain(chart(segment([1.0, 0.1, 0.0, 0.01] * 500, size=1), log_y=True, planned=2000))
    assert "500 below" in picture
    assert "0.1┤" in picture
