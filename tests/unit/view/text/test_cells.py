"""Text in cells: what a terminal makes of it, narrow or not."""

import re

import pytest
import wcwidth
from hypothesis import example, given
from hypothesis import strategies as st

from tuitrain.core.safe import safe
from tuitrain.view.picture import Span, fitted, plain
from tuitrain.view.text.cells import (
    NARROW,
    cut,
    cut_inside,
    padded,
    whole_parts,
    width_of,
    wrapped,
)
from tuitrain.view.text.table import Row, table

ASTRIDE = "損失 e\u0301 नमस्ते ❤️ 👩\u200d👩\u200d👧 🇩🇪 한국어 mse "
texts = (st.text(max_size=40) | st.text(ASTRIDE, max_size=40)).map(safe)


@pytest.mark.parametrize(
    ("text", "cells"),
    [("mse", 3), ("損失", 4), ("e\u0301", 1), ("❤️", 2), ("👩\u200d👩\u200d👧", 2), ("", 0)],
)
def test_a_terminal_gives_a_text_so_many_cells(text, cells):
    assert width_of(text) == cells
    assert padded(text, cells + 2) == f"{text}  "


def test_what_counts_as_narrow_without_a_look_fills_a_cell_a_character():
    narrow = filter(NARROW.fullmatch, map(chr, range(0x110000)))
    assert {wcwidth.wcwidth(sign) for sign in narrow} == {1}


@given(texts, st.integers(0, 30))
@example("\u094d00", 2)
def test_a_cut_text_has_room_and_says_that_it_was_cut(text, cells):
    shown = cut(text, cells)
    assert width_of(shown) <= cells
    if width_of(text) <= cells:
        assert shown == text
    elif cells:
        assert shown.endswith("…")
        assert text.startswith(shown[:-1])


@given(texts, st.integers(0, 30))
def test_a_text_cut_inside_has_room_too(text, cells):
    assert width_of(cut_inside(text, cells)) <= cells


def test_names_that_differ_at_their_ends_still_do_once_they_are_cut_inside():
    assert cut_inside("digits-1128-050640", 15) == "digits-…-050640"
    assert cut_inside("digits-1128-050640", 18) == "digits-1128-050640"


@given(texts, st.integers(2, 30))
@example("\u094d00", 2)
def test_wrapped_lines_have_room_and_lose_no_word(text, cells):
    lines = wrapped(text, cells)
    assert all(width_of(line) <= cells for line in lines)
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)


@given(st.lists(texts, max_size=4), st.integers(0, 60))
def test_a_line_fills_just_as_many_cells_as_asked(texts_of_spans, width):
    line = fitted([Span(text) for text in texts_of_spans], width)
    assert sum(width_of(piece.text) for piece in line) == width


def test_a_column_stays_a_column_below_a_wide_name():
    rows = [Row("loss", (Span("損失"), Span("mse"))), Row("lr", (Span("0.1"), Span("0.2")))]
    lines = plain(table([Span("A 猫犬"), Span("B two")], rows, 60)).splitlines()
    heads, loss, rate = lines
    second = [(heads, "B two"), (loss, "mse"), (rate, "0.2")]
    assert {width_of(line.partition(text)[0]) for line, text in second} == {14}


@pytest.mark.parametrize(
    ("cells", "shown"), [(30, "one · two · three"), (16, "one · two"), (4, "one"), (2, "o…")]
)
def test_of_several_parts_those_are_shown_that_fit_whole(cells, shown):
    assert whole_parts(["one", "two", "three"], cells) == shown
