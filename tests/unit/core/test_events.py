import json
import math
from contextlib import suppress
from dataclasses import asdict, fields, is_dataclass
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuitrain.core.errors import DamagedRecord
from tuitrain.core.events import (
    EVENTS,
    CheckpointSaved,
    CommandAccepted,
    EpochEnded,
    Event,
    Failed,
    SettingChanged,
    TakeOpened,
    from_json,
    to_json,
)

FILE = "00001-take1-step2.pt"
steps, numbers = st.integers(0, 1 << 30), st.floats(0.001, 1000)
settings = st.fixed_dictionaries({"loss": st.text()}, optional={"lr": numbers, "new": st.text()})
loose = {
    "origin_take": st.just(1), "take": st.integers(2, 1 << 20), "settings": settings,
    "exit_code": st.integers(0, 255), "asked_at": st.floats(0, 1e10), "file": st.just(FILE),
    "origin": st.just(FILE) | st.just(""), "setting": st.sampled_from(["lr", "weight-decay"]),
    "environment": st.dictionaries(st.text(), st.text(), max_size=4),
    "metrics": st.dictionaries(st.text(), st.floats(), max_size=4),
    "val_losses": st.dictionaries(st.text(), st.floats(), max_size=4),
    "value": numbers, "previous": st.none() | numbers,
}  # fmt: skip
"""Fields whose type alone does not say what may stand in them."""


RULED = ("file", "origin", "setting")
"""Those whose type is text with a rule."""


def event_of(made):
    known = {
        name: loose.get(name, steps)
        for name, hint in get_type_hints(made).items()
        if hint is int or (name in loose and (hint is not str or name in RULED))
    }
    return st.builds(made, **known)


events = st.one_of(*map(event_of, EVENTS.values()))


def same(one, other):
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if is_dataclass(one) and is_dataclass(other):
        return type(one) is type(other) and same(asdict(one), asdict(other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other


def refuse(constant):
    raise AssertionError(f"{constant} is not strict JSON")


@given(events)
def test_an_event_comes_back_from_the_record_as_it_was(event):
    back = from_json(event.kind, to_json(event))
    assert type(back) is type(event)
    for field in fields(event):
        assert same(getattr(event, field.name), getattr(back, field.name)), field.name


@given(events)
def test_an_event_is_strict_json(event):
    json.loads(to_json(event), parse_constant=refuse)


def test_every_event_has_a_kind_of_its_own_by_which_it_is_found():
    assert set(EVENTS.values()) == set(get_args(Event))
    assert all(EVENTS[made.kind] is made for made in EVENTS.values())


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


def changed(made, **values):
    """Return the body of an event whose fields are right but for these."""
    return json.dumps(json.loads(to_json(made)) | values)


SAVED = CheckpointSaved(1, 2, 0, "pause", FILE, 10, "0", "0")
OPENED = TakeOpened(None, 2, 5, 0, "undo", FILE, 1, {"loss": "mse"}, 23, 9)
ENDED = EpochEnded(1, 3, 1, "mse", 0.5, 0.5, {"rmse": 0.5}, improved=False)
CHANGED = SettingChanged("w", 1, 2, 0, "lr", 0.1, 0.2, 23)


@pytest.mark.parametrize(
    "file",
    [
        "/home/me/thesis.tex", "../../x", "../00001-take1-step2.pt", "00001-take1-step2.pt/../x",
        "00001-take1-step2.pt\n", "", ".", "x\x00.pt", 5, None, [FILE],
    ],
)  # fmt: skip
def test_a_checkpoint_is_a_file_of_our_own_naming_and_nothing_else(file):
    with pytest.raises(DamagedRecord, match="file"):
        from_json("checkpoint_saved", changed(SAVED, file=file))
    with pytest.raises(DamagedRecord, match="file"):
        from_json("checkpoint_gone", json.dumps({"file": file, "why": "pruned"}))
    if file != "":  # a take may go on from the very beginning
        with pytest.raises(DamagedRecord, match="origin"):
            from_json("take_opened", changed(OPENED, origin=file))


@pytest.mark.parametrize(
    ("event", "values"),
    [
        pytest.param(SAVED, {"step": "\x1b[2J"}, id="a number as text"),
        pytest.param(SAVED, {"step": -1}, id="a step below 0"),
        pytest.param(SAVED, {"step": 1 << 40}, id="a step beyond every key"),
        pytest.param(SAVED, {"step": 1.0}, id="a step in floats"),
        pytest.param(SAVED, {"step": True}, id="a step that is a truth"),
        pytest.param(SAVED, {"take": 0}, id="take 0"),
        pytest.param(SAVED, {"is_finite": 1}, id="a truth that is a number"),
        pytest.param(SAVED, {"why": ["pause"]}, id="a reason in a list"),
        pytest.param(ENDED, {"val_loss": "0.5"}, id="a float as text"),
        pytest.param(ENDED, {"val_loss": 10**400}, id="a number beyond floats"),
        pytest.param(ENDED, {"metrics": {"rmse": [1]}}, id="a metric that is a list"),
        pytest.param(ENDED, {"metrics": [["rmse", 1]]}, id="metrics in a list"),
        pytest.param(ENDED, {"metrics": {"x" * 501: 1.0}}, id="a metric of a very long name"),
        pytest.param(
            ENDED, {"metrics": dict.fromkeys(map(str, range(1001)), 1)}, id="many metrics"
        ),
        pytest.param(CHANGED, {"setting": "seed"}, id="no setting"),
        pytest.param(CHANGED, {"value": None}, id="a setting that cannot be off"),
        pytest.param(CHANGED, {"setting": "epochs", "value": 0.5}, id="half an epoch"),
        pytest.param(OPENED, {"settings": {}}, id="a take without a loss"),
        pytest.param(OPENED, {"settings": {"loss": 5}}, id="a loss that is a number"),
        pytest.param(OPENED, {"settings": {"loss": "mse", "x": {}}}, id="a setting that is deep"),
        pytest.param(OPENED, {"origin_take": 2}, id="a take that goes on from itself"),
        pytest.param(OPENED, {"origin_take": 3}, id="a take that goes on from a later one"),
        pytest.param(OPENED, {"why": "a whim"}, id="no reason of ours"),
        pytest.param(Failed("x"), {"exit_code": 256}, id="no exit code"),
        pytest.param(
            CommandAccepted("a", "pause", "", "batch", 1.0), {"asked_at": 1e300}, id="no moment"
        ),
        pytest.param(
            CommandAccepted("a", "pause", "", "batch", 1.0), {"at": "noon"}, id="no boundary"
        ),
    ],
)
def test_a_field_that_no_trainer_writes_is_damage_and_is_named(event, values):
    with pytest.raises(DamagedRecord, match="its record is damaged"):
        from_json(event.kind, changed(event, **values))


@pytest.mark.parametrize(
    "body",
    ["", "{", "{}", "[]", "null", "5", "[" * 100_000, '{"text":' * 50_000, "9" * 5_000,
     '{"text": "' + "x" * (1 << 20) + '"}', b"{}", None],
    ids=repr,
)  # fmt: skip
def test_a_body_that_is_no_event_is_damage(body):
    with pytest.raises(DamagedRecord, match="its record is damaged: in warned"):
        from_json("warned", body)


@given(st.sampled_from(sorted(EVENTS)), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
), st.data())  # fmt: skip
def test_whatever_stands_in_a_field_it_is_of_its_type_or_damage(kind, value, data):
    event = data.draw(event_of(EVENTS[kind]))
    name = data.draw(st.sampled_from([field.name for field in fields(event)]))
    with suppress(DamagedRecord):
        back = from_json(kind, changed(event, **{name: value}))
        assert same(back, from_json(kind, to_json(back)))


def test_a_recorded_rate_may_be_zero_as_in_a_warm_up():
    body = changed(OPENED, settings={"loss": "mse", "lr": 0.0})
    assert from_json("take_opened", body).settings["lr"] == 0
    for wrong in (-1.0, "0", False, None):
        with pytest.raises(DamagedRecord):
            from_json("take_opened", changed(OPENED, settings={"loss": "mse", "lr": wrong}))
