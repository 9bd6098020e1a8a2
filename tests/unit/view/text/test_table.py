import re
from itertools import pairwise

import pytest

from tuitrain.view.picture import Span, plain
from tuitrain.view.text.table import NO_BREAK, Row, table


def cells(*texts):
    return tuple(Span(text) for text in texts)


def lines_of(heads, rows, width):
    picture = table(cells(*heads), [Row(label, cells(*texts)) for label, *texts in rows], width)
    assert all(sum(len(piece.text) for piece in line) == width for line in picture)
    return plain(picture).splitlines()


def test_a_table_has_a_column_for_each_thing():
    assert lines_of(["A one", "B two"], [("lr", "0.1", "0.01"), ("seed", "0", "1")], 40) == [
        "      A one  B two",
        "lr    0.1    0.01",
        "seed  0      1",
    ]


def test_words_go_on_in_the_next_line_and_joined_ones_stay_together():
    long = f"cross-entropy → mse{NO_BREAK}@{NO_BREAK}epoch{NO_BREAK}10"
    assert lines_of(["A", "B"], [("loss", long, "mse")], 50) == [
        "      A                B",
        "loss  cross-entropy →  mse",
        "      mse @ epoch 10",
    ]


def test_columns_that_do_not_fit_come_in_a_next_block():
    heads = [f"{sign} run" for sign in "ABCDE"]
    lines = lines_of(heads, [("accuracy", *"12345")], 50)
    assert [line.split() for line in lines] == [
        ["A", "run", "B", "run"], ["accuracy", "1", "2"], [],
        ["C", "run", "D", "run"], ["accuracy", "3", "4"], [],
        ["E", "run"], ["accuracy", "5"],
    ]  # fmt: skip


@pytest.mark.parametrize("width", [1, 5, 20])
def test_a_narrow_table_is_as_wide_as_asked(width):
    lines_of(["A"], [("loss", "cross-entropy → mse")], width)


def test_a_table_too_narrow_for_its_columns_still_shows_all_of_them():
    joined = f"0.4813{NO_BREAK}@12,345{NO_BREAK}★"
    assert lines_of(["A one"], [("lr", "0.5"), ("best", joined)], 16) == [
        "      A one",
        "lr    0.5",
        "best  0.4813",
        "      @12,345 ★",
    ]


@pytest.mark.parametrize(
    "text",
    ["mlp:hidden=256-128-64-32,dropout=0.125", "adam:lr=1e-05,x=1e-07"],
)
def test_a_long_word_breaks_beside_its_numbers_and_not_in_them(text):
    lines = lines_of(["A", "B"], [("", text, "x")], 36)[1:]
    parts = [re.sub(r"\s+x?$", "", line).strip() for line in lines]
    assert "".join(parts) == text
    for part, following in pairwise(parts):
        assert not re.search(r"\d$", part) or not re.match(r"\d|,\d", following), parts
