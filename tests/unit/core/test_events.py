import json
import math
from dataclasses import fields
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuitrain.core.commands import Boundary
from tuitrain.core.events import EVENTS, EpochEnded, Event, Failed, from_json, to_json

boundaries = st.sampled_from(get_args(Boundary))
finite = st.floats(allow_nan=False, allow_infinity=False)
loose = {
    "train_loss": st.floats(),
    "val_loss": st.floats(),
    "metrics": st.dictionaries(st.text(), st.floats(), max_size=4),
    "environment": st.dictionaries(st.text(), st.text(), max_size=4),
    "asked_at": finite,
    "val_losses": st.dictionaries(st.text(), st.floats(), max_size=4),
    "settings": st.dictionaries(st.text(), st.none() | st.integers() | finite | st.text()),
    "value": st.none() | finite,
    "previous": st.none() | finite,
    "at": boundaries,
}
"""Fields whose type alone does not say what may stand in them."""


def event_of(made):
    floats = {name for name, hint in get_type_hints(made).items() if hint is not str}
    known = {name: loose[name] for name in floats if name in loose}
    return st.builds(made, **known)


events = st.one_of(*map(event_of, EVENTS.values()))


def same(one, other):
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other


def refuse(constant):
    raise AssertionError(f"{constant} is not strict JSON")


@given(events)
def test_an_event_comes_back_from_the_record_as_it_was(event):
    back = from_json(event.kind, to_json(event))
    assert type(back) is type(event)
    for each in fields(event):
        assert same(getattr(event, each.name), getattr(back, each.name)), each.name


@given(events)
def test_an_event_is_strict_json(event):
    json.loads(to_json(event), parse_constant=refuse)


def test_every_event_has_a_kind_of_its_own_by_which_it_is_found():
    assert set(EVENTS.values()) == set(get_args(Event))
    assert all(EVENTS[made.kind] is made for made in EVENTS.values())


@pytest.mark.parametrize("made", EVENTS.values(), ids=EVENTS)
def test_no_float_of_an_event_is_forgotten_on_the_way_back(made):
    hints = get_type_hints(made)
    floats = {name for name, hint in hints.items() if "float" in str(hint)}
    assert floats <= {
        "train_loss", "val_loss", "metrics", "val_losses", "asked_at", "value", "previous"
    }  # fmt: skip


def test_a_diverged_epoch_is_told_truthfully():
    event = EpochEnded(1, 3, 1, "mse", math.nan, -math.inf, {"rmse": math.inf}, improved=False)
    back = from_json(event.kind, to_json(event))
    assert isinstance(back, EpochEnded)
    assert math.isnan(back.train_loss)
    assert back.val_loss == -math.inf
    assert back.metrics == {"rmse": math.inf}


def test_a_kind_of_a_newer_version_is_passed_over():
    assert from_json("danced", '{"partner":"mse"}') is None


def test_fields_of_a_newer_version_are_ignored():
    body = json.loads(to_json(Failed("out of memory", 1)))
    assert from_json("failed", json.dumps({**body, "peak": 3})) == Failed("out of memory", 1)


def test_fields_that_an_older_version_lacked_have_their_defaults():
    assert from_json("failed", '{"error":"out of memory"}') == Failed("out of memory", 1)
