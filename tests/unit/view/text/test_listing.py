"""The columns of the list of runs."""

import pytest

from tests.recorded import in_home
from tuitrain.view.text.cells import width_of
from tuitrain.view.text.listing import Row, columns


@pytest.mark.parametrize("width", [20, 40, 58, 62, 66, 70, 80, 109, 110, 116, 200])
def test_no_column_of_numbers_is_cut_at_the_edge(home, width):
    run = in_home(home, "digits-1127-102723", epochs=40_000)
    run.trains(2)
    row = Row(home / "digits-1127-102723", run.now())
    unreadable = Row(home / "other", None, "its record is damaged, in many words " * 9)
    names = columns([row, unreadable], width)
    cells = 3 + sum(max(width_of(name), width_of(row.cell(name).text)) + 2 for name in names[1:])
    assert cells <= width or names == ("mark", "name", "state")
    if width in (40, 80, 200):
        last = {40: "state", 80: "best", 200: "started"}[width]
        assert names[-1] == last, "the last ones are left out first"
