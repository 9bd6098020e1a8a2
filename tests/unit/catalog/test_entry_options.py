"""Options of catalogue entries: text → value → text, and what is no value."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuitrain import catalog
from tuitrain.catalog import Entry
from tuitrain.catalog.choice import Choice
from tuitrain.catalog.entry_options import Between, Joined, Option, YesOrNo
from tuitrain.core.errors import WrongUse
from tuitrain.core.values import Integer, OneOf

WORDS = ("none", "batch", "layer")
NUMBERS = st.floats(-1e9, 1e9)
VALUES = {
    Integer(-5, 1_000_000): st.integers(-5, 1_000_000),
    Between(-1e9, 1e9): NUMBERS,
    YesOrNo(): st.booleans(),
    OneOf(*WORDS): st.sampled_from(WORDS),
    Joined(Integer(1, 65_536)): st.lists(st.integers(1, 65_536), min_size=1).map(tuple),
    Joined(Between(-1e9, 1e9)): st.lists(NUMBERS, min_size=1).map(tuple),
}
cases = st.sampled_from(list(VALUES)).flatmap(
    lambda type_: st.tuples(st.just(type_), VALUES[type_])
)


@given(cases)
def test_a_value_that_is_written_is_read_again(case):
    type_, value = case
    text = type_.write(value)
    assert type_.read(text) == type_.take(value) == value
    assert type_.write(type_.read(text)) == text
    assert "," not in text, "which separates two options"


@given(st.sampled_from(list(VALUES)), st.text() | st.from_regex(r"[-+.e0-9]{,8}", fullmatch=True))
def test_any_text_is_a_value_of_the_type_or_an_error(type_, text):
    try:
        value = type_.read(text)
    except ValueError:
        return
    assert type_.read(type_.write(value)) == value
    assert type_.take(value) == value


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("3", (3.0,)), ("-1--2", (-1.0, -2.0)), ("1e-3-.5-2.", (0.001, 0.5, 2.0))],
)
def test_a_dash_separates_numbers_and_may_be_a_sign(text, numbers):
    assert Joined(Between(-9, 9)).read(text) == numbers


@pytest.mark.parametrize(
    ("type_", "texts", "description"),
    [
        (Integer(1, 8), ["0", "9", "1.5", "yes"], "takes a whole number from 1 to 8 (how many)"),
        (Between(0, 1), ["nan", "inf", "-0.1", "1.1", "one"], "takes a number from 0 to 1"),
        (YesOrNo(), ["1", "True", "y"], "takes yes or no"),
        (OneOf("a", "b"), ["c", "A"], "takes a or b"),
        (
            Joined(Integer(1, 8)),
            ["-", "3-", "3-9", "a-b"],
            "a whole number from 1 to 8, or several",
        ),
    ],
    ids=lambda item: type(item).__name__,
)
def test_what_is_no_value_is_refused_with_what_is_one(monkeypatch, type_, texts, description):
    entry = Entry("new", "math:sqrt", "", options={"key": Option(type_, None, "how many")})
    monkeypatch.setitem(catalog.CATALOG["model"], "new", entry)
    for text in texts:
        with pytest.raises(WrongUse) as wrong:
            Choice.read("model", f"new:key={text}")
        assert description in str(wrong.value)
        assert str(wrong.value).endswith(f"not {text}")


def test_a_number_that_is_not_one_is_no_value_of_a_list():
    for value in ((math.nan,), (True,), (), "12"):
        with pytest.raises(ValueError):  # noqa: PT011 - it has no words: who asks has them
            Joined(Between(0, 9)).take(value)
