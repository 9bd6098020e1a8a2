from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tuitrain.view.chart import braille

DOTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 17)), max_size=6)


def cells_of(dots):
    return {cell: braille.character(bits) for cell, bits in braille.line(dots).items()}


def test_a_dot_is_a_character_with_that_dot():
    assert cells_of([(0, 0)]) == {(0, 0): "⡀"}
    assert cells_of([(3, 7)]) == {(1, 1): "⠈"}


def test_a_line_has_every_dot_between_its_ends():
    assert cells_of([(0, 0), (3, 0)]) == {(0, 0): "⣀", (1, 0): "⣀"}
    assert cells_of([(0, 0), (0, 7)]) == {(0, 0): "⡇", (0, 1): "⡇"}
    assert cells_of([(0, 0), (3, 3)]) == {(0, 0): "⡠", (1, 0): "⠊"}
    assert cells_of([(3, 3), (0, 0)]) == cells_of([(0, 0), (3, 3)])


def test_a_line_without_dots_is_nothing():
    assert cells_of([]) == {}


@given(DOTS)
def test_a_line_is_the_nearest_dot_at_each_step_of_its_longer_way(dots):
    wanted = dots[-1:]
    for (x, y), (to_x, to_y) in pairwise(dots):
        steps = max(abs(to_x - x), abs(to_y - y), 1)
        wanted += [
            (x + round(at / steps * (to_x - x)), y + round(at / steps * (to_y - y)))
            for at in range(steps)
        ]
    cells = {}
    for x, y in wanted:
        place = x // braille.ACROSS, y // braille.UP
        ((_, bits),) = braille.upright(x, y, y)
        cells[place] = cells.get(place, 0) | bits
    assert braille.line(dots) == cells
