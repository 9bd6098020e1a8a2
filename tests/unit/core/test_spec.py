import json
import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuitrain import catalog
from tuitrain.catalog.choice import Choice, loss_text
from tuitrain.core.errors import DamagedRecord, Refused, UnknownName, WrongUse
from tuitrain.core.spec import RunSpec, check_name

FITTING = [
    (task.name, loss.name, model)
    for task in catalog.TASKS.values()
    for loss in catalog.fitting_losses(task.kind)
    for model in ("linear", "mlp", "mlp:hidden=32", "mlp:hidden=8-8-8", "cnn")
    if task.has_images or model != "cnn"
]


def spec_of(fitting, **settings):
    task, loss, model = fitting
    return catalog.new_spec(task, loss=loss, model=model, **settings)


specs = st.builds(
    spec_of,
    st.sampled_from(FITTING),
    optimizer=st.sampled_from(["adam", "AdamW", "adamw:weight_decay=0.1", "sgd:momentum=0.9"]),
    lr=st.floats(0, exclude_min=True, allow_infinity=False),
    batch_size=st.integers(1, 1 << 24),
    epochs=st.integers(1, 1 << 31),
    seed=st.integers(0, (1 << 63) - 1),
    device=st.sampled_from(["auto", "cpu", "mps", "cuda", "cuda:3"]),
    pace=st.none() | st.floats(0, exclude_min=True, allow_infinity=False),
    paused=st.booleans(),
)


def test_digits_needs_no_settings():
    spec = catalog.new_spec("digits")
    assert spec == catalog.new_spec()
    assert (spec.task, spec.epochs, spec.model) == ("digits", 40, "mlp:hidden=256-128")
    assert (spec.loss, spec.optimizer) == ("cross-entropy", "adam")
    assert (spec.lr, spec.batch_size, spec.seed, spec.device) == (0.001, 64, 0, "auto")
    assert spec.pace is None
    assert not spec.paused


def test_none_stands_for_the_default():
    assert catalog.new_spec("digits", lr=None, model=None, epochs=None) == catalog.new_spec(
        "digits"
    )


def test_aliases_become_the_names_of_the_catalogue():
    spec = catalog.new_spec(loss="CrossEntropyLoss", optimizer="SGD:momentum=0.9")
    assert spec.loss == "cross-entropy"
    assert spec.optimizer == "sgd:momentum=0.9"


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        ({"task": "digit"}, "did you mean 'digits'"),
        ({"loss": "cross-entopy"}, "did you mean 'cross-entropy'"),
        ({"model": "mpl"}, "did you mean 'mlp'"),
        ({"model": "mlp:hiden=3"}, "did you mean 'hidden'"),
        ({"optimizer": "adamm"}, "did you mean 'adam'"),
        ({"batchsize": 3}, "did you mean 'batch_size'"),
        ({"loss": "zzz"}, "for digits there are: bce-with-logits, brier, cross-entropy, focal, l1"),
        ({"loss": "zzz", "task": "sine"}, "for sine there are: huber, l1, log-cosh, mse, quant"),
        ({"loss": "hubr", "task": "sine"}, "did you mean 'huber'"),
        ({"loss": "hubr"}, "for digits there are"),
        ({"model": "zzz"}, "there are: linear, mlp, cnn, lenet, resnet18, .*, and 60 more$"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_one(settings, hint):
    with pytest.raises(UnknownName, match=hint) as caught:
        catalog.new_spec(**settings)
    assert caught.value.exit_code == 2


not_numbers = [
    math.nan, math.inf, -math.inf, True, "3", "many", pytest.param(10**400, id="beyond a float"),
]  # fmt: skip


@pytest.mark.parametrize("name", ["lr", "pace"])
@pytest.mark.parametrize("value", [0, 0.0, -1, -0.001, *not_numbers])
def test_a_rate_that_is_no_number_above_zero_is_wrong_use(name, value):
    with pytest.raises(WrongUse, match=name) as caught:
        catalog.new_spec(**{name: value})
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["epochs", "batch_size", "seed"])
@pytest.mark.parametrize("value", [-1, 1.5, *not_numbers])
def test_a_count_that_is_no_whole_number_is_wrong_use(name, value):
    with pytest.raises(WrongUse, match=name.replace("_", "-")) as caught:
        catalog.new_spec(**{name: value})
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["epochs", "batch_size"])
def test_nothing_is_trained_in_no_epochs_or_empty_batches(name):
    with pytest.raises(WrongUse):
        catalog.new_spec(**{name: 0})


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "mlp:"},
        {"model": "mlp:hidden"},
        {"model": "mlp:hidden="},
        {"model": "mlp:=3"},
        {"model": "mlp:hidden=0"},
        {"model": "mlp:hidden=3--3"},
        {"model": "mlp:hidden=1e3"},
        {"optimizer": "sgd:momentum=nan"},
        {"optimizer": "sgd:momentum=2"},
        {"optimizer": "adamw:weight_decay=-1"},
        {"optimizer": "adam:momentum=0.9"},
        {"device": "gpu"},
        {"device": "cuda:"},
        {"device": "cuda:0\n"},
        {"device": ""},
    ],
)
def test_options_that_cannot_be_are_wrong_use(settings):
    with pytest.raises(WrongUse):
        catalog.new_spec(**settings)


@pytest.mark.parametrize(
    "settings", [{"loss": 5}, {"model": ["mlp"]}, {"device": 3}, {"paused": "no"}, {"task": 1}]
)
def test_settings_of_another_type_are_wrong_use(settings):
    with pytest.raises(WrongUse):
        catalog.new_spec(**settings)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"task": "diabetes", "loss": "cross-entropy"}, "its target is a class index"),
        ({"task": "breast-cancer", "model": "cnn"}, "breast-cancer is a table"),
    ],
)
def test_what_does_not_fit_the_task_is_refused_with_a_reason(settings, reason):
    with pytest.raises(Refused, match=reason) as caught:
        catalog.new_spec(**settings)
    assert caught.value.exit_code == 3


@given(specs)
def test_a_spec_survives_its_file(spec):
    text = spec.to_json()
    json.loads(text, parse_constant=lambda constant: pytest.fail(constant))
    assert RunSpec.from_json(text) == spec


@given(specs)
def test_the_settings_of_a_spec_make_the_same_spec(spec):
    settings = {field.name: getattr(spec, field.name) for field in fields(spec)}
    assert catalog.new_spec(**settings) == spec


def test_a_spec_file_is_checked_again():
    settings = json.loads(catalog.new_spec().to_json())
    with pytest.raises(DamagedRecord, match="epochs takes a whole number"):
        RunSpec.from_json(json.dumps({**settings, "epochs": 0}))
    with pytest.raises(DamagedRecord, match="it has no seed"):
        RunSpec.from_json(json.dumps({k: v for k, v in settings.items() if k != "seed"}))
    own = {"task": "my.csv", "model": "my.py:Net", "loss": "my.py:loss", "optimizer": "Lion"}
    assert RunSpec.from_json(json.dumps({**settings, **own})).model == "my.py:Net"
    with pytest.raises(DamagedRecord, match="a newer tuitrain may read it"):
        RunSpec.from_json(json.dumps({**settings, "quantum": True}))


def test_a_digest_in_a_spec_file_is_a_digest():
    settings = json.loads(catalog.new_spec().to_json())
    digest = {"data_sha256": "0a" * 32}
    assert RunSpec.from_json(json.dumps(settings | digest)).data_sha256 == "0a" * 32
    with pytest.raises(DamagedRecord, match="data_sha256 must be a SHA-256"):
        RunSpec.from_json(json.dumps(settings | {"data_sha256": "0A"}))


@pytest.mark.parametrize(
    "parent",
    [
        {"directory": 5},
        {"take": 1},
        {"directory": "a", "take": "x"},
        {"directory": "a", "step": -1},
        {"directory": "a", "epoch": []},
        {"directory": "a", "sha256": 1},
        {"directory": "a", "environment": {"torch": 2}},
    ],
)
def test_a_parent_of_wrong_types_is_damage(parent):
    settings = json.loads(catalog.new_spec().to_json())
    with pytest.raises(DamagedRecord, match="its parent is damaged"):
        RunSpec.from_json(json.dumps({**settings, "parent": parent}))


@given(specs)
def test_a_choice_is_read_as_it_is_written(spec):
    choice = Choice.read("model", spec.model)
    assert Choice.read("model", str(choice)) == choice


@pytest.mark.parametrize("name", ["a", "A-1_b.c", "x" * 64, "9", "-", "_"])
def test_plain_names_are_names(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "a/b", "a b", "a\n", "x" * 65, "ä", "a\x00", "\x1b[31m", "../a"],
)
def test_what_could_harm_a_path_or_a_terminal_is_no_name(name):
    with pytest.raises(WrongUse):
        check_name(name)


@pytest.mark.parametrize(
    "settings",
    [
        {"task": "\x1b]52;c;x\a"},
        {"loss": "\x1b[31m"},
        {"model": "mlp:hidden=\x1b[31m"},
        {"model": "mlp:\x1b[31m=1"},
        {"model": "\x1b[31m:"},
        {"device": "\x1b[31m"},
    ],
)
def test_an_error_repeats_no_control_character(settings):
    with pytest.raises(WrongUse) as caught:
        catalog.new_spec(**settings)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shortest"),
    [
        ("CrossEntropyLoss", "cross-entropy"),
        ("cross-entropy:label_smoothing=0", "cross-entropy"),
        ("cross-entropy:label_smoothing=-0.0", "cross-entropy"),
        ("cross-entropy:label_smoothing=.10", "cross-entropy:label_smoothing=0.1"),
        ("cross-entropy:label_smoothing=1e0", "cross-entropy:label_smoothing=1"),
        ("BCEWithLogitsLoss:pos_weight=1.0", "bce-with-logits"),
        ("bce-with-logits:pos_weight=3.000", "bce-with-logits:pos_weight=3"),
    ],
)
def test_a_loss_has_one_text(text, shortest):
    assert loss_text(text) == shortest
    assert loss_text(shortest) == shortest
    task = "digits" if shortest.startswith("cross") else "breast-cancer"
    assert catalog.new_spec(task, loss=text).loss == shortest


@given(st.floats(0, 1))
def test_a_parameter_comes_back_from_the_text_of_its_loss(value):
    text = loss_text(f"cross-entropy:label_smoothing={value!r}")
    read = Choice.read("loss", text).options.get("label_smoothing", "0")
    assert float(read) == value


@pytest.mark.parametrize(
    "text",
    ["cross-entropy:label_smoothing=1.1", "cross-entropy:label_smoothing=-0.1",
     "cross-entropy:label_smoothing=nan", "bce-with-logits:pos_weight=0",
     "bce-with-logits:pos_weight=-1", "bce-with-logits:pos_weight=inf", "mse:pos_weight=1",
     "cross-entropy:", "cross-entropy:label_smoothing"],
)  # fmt: skip
def test_a_parameter_that_cannot_be_is_wrong_use(text):
    with pytest.raises(WrongUse):
        loss_text(text)
