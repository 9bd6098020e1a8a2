import itertools
import json
import math
import time
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuitrain.catalog import LOSSES
from tuitrain.core.commands import (
    COMMANDS,
    SETTINGS,
    Change,
    Pause,
    Request,
    Rollback,
    SaveCheckpoint,
    Step,
    Stop,
    SwapLoss,
    command_of,
    read_epoch,
)
from tuitrain.core.errors import WrongUse

numbers = st.floats(0, exclude_min=True, allow_infinity=False)
values = {
    "lr": numbers,
    "weight-decay": st.just(0) | numbers,
    "clip-norm": st.none() | numbers,
    "batch-size": st.integers(1, 1 << 24),
    "epochs": st.integers(1, 1 << 31),
    "schedule": st.sampled_from(["constant", "cosine", "linear@0", "cosine@4.25", "own@1"]),
    "pace": st.none() | numbers,
}
changes = st.one_of(*(st.builds(Change, st.just(item), value) for item, value in values.items()))

ways_to_command = {
    **{command: st.builds(command) for command in COMMANDS.values() if not fields(command)},
    Step: st.builds(Step, st.integers(1, 1 << 40)),
    SwapLoss: st.builds(SwapLoss, st.sampled_from(sorted(LOSSES))),
    Change: changes,
    SaveCheckpoint: st.builds(SaveCheckpoint),
    Rollback: st.builds(Rollback, st.none() | st.just("best") | st.integers(0, 1 << 31)),
    Stop: st.builds(Stop, st.text()),
}
commands = st.one_of(*ways_to_command.values())
boundaries = st.sampled_from(["batch", "epoch"])
requests = st.builds(Request, st.text(), st.floats(0, 1e11), commands, boundaries)


def test_every_command_is_tried_here():
    assert set(ways_to_command) == set(COMMANDS.values())
    assert set(values) == set(SETTINGS)


@given(requests)
def test_a_request_survives_its_file(request):
    assert Request.from_json(request.to_json()) == request


@given(requests)
def test_a_request_is_strict_json(request):
    json.loads(request.to_json(), parse_constant=lambda constant: pytest.fail(constant))


@given(commands)
def test_a_new_request_waits_for_the_boundary_that_its_command_has_by_default(command):
    assert Request.new(command).at == command.boundary
    assert Request.new(command, "epoch").at == "epoch"


def test_a_loss_waits_for_the_epoch_and_a_pause_does_not():
    assert Request.new(SwapLoss("mse")).at == "epoch"
    assert Request.new(Pause()).at == "batch"


def test_a_batch_size_waits_for_the_epoch_and_other_settings_do_not():
    texts = dict.fromkeys(SETTINGS, "3") | {"schedule": "cosine"}
    waits = [
        name for name, text in texts.items() if Request.new(Change.read(name, text)).at == "epoch"
    ]
    assert waits == ["batch-size"]


@pytest.mark.parametrize("step_ns", [1, 0, -50])
def test_later_requests_have_later_ids_whatever_the_clock_does(monkeypatch, step_ns):
    clock = itertools.count(time.time_ns(), step_ns)
    monkeypatch.setattr(time, "time_ns", lambda: next(clock))
    ids = [Request.new(Pause()).id for _ in range(100)]
    assert ids == sorted(ids)
    assert len(set(ids)) == 100
    assert [name[:-4] for name in ids] == sorted(name[:-4] for name in ids)


def test_a_swap_may_be_to_any_loss_since_its_trainer_alone_knows_them():
    assert SwapLoss("my-own:margin=2").name == "my-own"


@pytest.mark.parametrize("loss", ["", "x" * 1_001, 3, None])
def test_a_swap_is_to_something(loss):
    with pytest.raises(WrongUse, match="takes a name"):
        SwapLoss(loss)


@pytest.mark.parametrize("count", [0, -1, (1 << 40) + 1, math.nan, 1.5])
def test_a_step_is_a_whole_number_of_batches(count):
    with pytest.raises(WrongUse):
        Step(count)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *((item, value) for item in SETTINGS for value in (-1, math.nan, math.inf, "1", True)),
        *((item, 0) for item in SETTINGS if item != "weight-decay"),
        *((item, None) for item in ("lr", "weight-decay", "batch-size", "epochs")),
        ("batch-size", 1.5),
        ("epochs", (1 << 31) + 1),
        ("depth", 3),
    ],
)
def test_a_setting_takes_only_what_it_can_be(setting, value):
    with pytest.raises(WrongUse):
        Change(setting, value)


@pytest.mark.parametrize("text", ["", "beast", "-1", "1.5", "9" * 20])
def test_an_epoch_is_a_number_or_the_best(text):
    with pytest.raises(WrongUse, match="the number of a completed one, or best"):
        read_epoch(text)
    assert [read_epoch("0"), read_epoch("12"), read_epoch("best")] == [0, 12, "best"]


@given(commands)
def test_a_command_is_read_from_its_kind_and_detail(command):
    again = command_of(command.kind, command.detail)
    assert again == command


@pytest.mark.parametrize("text", ["", "fast", "0x10", "1e"])
def test_what_is_not_a_number_is_said_to_be_none(text):
    with pytest.raises(WrongUse, match="lr takes a number above 0"):
        Change.read("lr", text)


def test_off_is_a_value_only_where_a_setting_has_one():
    assert Change.read("clip-norm", "off") == Change("clip-norm", None)
    with pytest.raises(WrongUse, match="lr takes"):
        Change.read("lr", "off")


def test_what_a_command_is_about_is_said_in_a_word():
    details = [item.detail for item in (Pause(), Step(3), SwapLoss("mse"), Change("lr", 0.03))]
    assert details == ["", "3", "mse", "0.03"]
    assert Change("pace", None).detail == "off"


def changed(**changes):
    body = json.loads(Request("a", 1.0, Pause(), "batch").to_json())
    return json.dumps({**body, **changes})


@pytest.mark.parametrize(
    "text",
    [
        changed(kind="dance"),
        changed(at="never"),
        changed(kind="step", command={"count": 0}),
        changed(kind="loss", command={"loss": ""}),
        changed(kind="lr", command={"setting": "pace", "value": 1.0}),
    ],
)
def test_a_request_that_asks_for_what_is_not_is_wrong_use(text):
    with pytest.raises(WrongUse):
        Request.from_json(text)
