"""The columns of the list of runs."""

import pytest

from tests.recorded import in_home
from tuitrain.view.text.cells import width_of
from tuitrain.view.text.listing import Row, columns


@pytest.mark.parametrize("width", [20, 40, 58, 62, 66, 70, 80, 109, 110, 116, 200])
def test_no_column_of_numbers_is_cut_at_the_edge(home, width):
    run = in_home(home, "digits-1127-102723", epochs=40_000)
    run.trains(2)
    row = Row(home, run.now())
    unreadable = Row(home / "other", None, "its record is damaged, in many words " * 9)
    names = columns([row, unreadable], width)
    cells = sum(max(width_of(name), width_of(row.cell(name).text)) + 2 for name in names)
    assert cells <= width or names == ("mark", "name", "state")
    assert ("best" in names) == (width >= 80), "the last ones are left out first"
    assert ("task" in names) == (width >= 110)
