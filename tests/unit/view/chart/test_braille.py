from tuitrain.view.chart import braille


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
