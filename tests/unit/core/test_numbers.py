import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuitrain.core.numbers import from_strict, to_strict

nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def refuse(constant):
    raise AssertionError(f"{constant} is not strict JSON")


@given(st.floats())
def test_every_float_comes_back_as_itself(value):
    back = from_strict(json.loads(json.dumps(to_strict(value)), parse_constant=refuse))
    assert back == value or (math.isnan(back) and math.isnan(value))
    assert math.isnan(value) or math.copysign(1, back) == math.copysign(1, value)


@given(nested)
def test_whatever_holds_floats_becomes_strict_json(value):
    json.loads(json.dumps(to_strict(value), allow_nan=False), parse_constant=refuse)


@pytest.mark.parametrize(
    ("value", "text"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")]
)
def test_the_three_that_json_lacks_travel_as_strings(value, text):
    assert to_strict({"a": [value, (value,)]}) == {"a": [text, [text]]}
    assert str(from_strict(text)) == text


def test_what_is_finite_or_no_float_stays_as_it_is():
    values = [1, 0.5, "nan", None, True]
    assert repr(to_strict(values)) == repr(values)


def test_a_string_that_names_no_float_is_an_error():
    with pytest.raises(KeyError):
        from_strict("Infinity")
