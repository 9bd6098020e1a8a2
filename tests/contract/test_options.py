"""Every place where options of a run stand has those of the one table, and no other."""

from dataclasses import MISSING, fields

import click
import pytest

from tests.conftest import PROJECT, Shell
from tuitrain.catalog import TASKS, new_spec
from tuitrain.cli import cli
from tuitrain.cli.ctl import ctl
from tuitrain.connection.commands import Commands
from tuitrain.core.commands import SETTINGS
from tuitrain.core.config import read_config
from tuitrain.core.errors import WrongUse
from tuitrain.core.options import DISPLAY_OPTIONS, OPTIONS, Place, at
from tuitrain.core.spec import RunSpec
from tuitrain.core.values import Flag, OrNone, Switch
from tuitrain.view.form import form

OWN = {
    "run": {"task"},  # its argument
    "fork": {"run", "epoch"},
    "resume": {"run"},
    "replay": {"run"},
}
"""What a command takes that is no option of a run."""

VALUES = {
    "task": ("mnist", "mnist"), "loss": ("l1", "l1"), "model": ("linear", "linear"),
    "optimizer": ("sgd:momentum=0.9", "sgd:momentum=0.9"), "lr": ("0.25", 0.25),
    "weight_decay": ("0", 0.0), "clip_norm": ("1.5", 1.5), "batch_size": ("32", 32),
    "nproc": ("2", 2), "nnodes": ("2", 2), "node_rank": ("1", 1),
    "strategy": ("fsdp", "fsdp"),
    "rdzv_endpoint": ("ash:29400", "ash:29400"), "rdzv_id": ("a", "a"), "max_restarts": ("5", 5),
    "accumulate": ("4", 4), "epochs": ("3", 3), "lr_schedule": ("cosine", "cosine"),
    "patience": ("2", 2), "monitor": ("mse", "mse"),
    "val_losses": ("focal,mse", ("focal", "mse")),
    "workers": ("4", 4), "kind": ("binary", "binary"), "target": ("price", "price"),
    "group": ("who", "who"), "split": ("part", "part"), "drop": ("a,b", ("a", "b")),
    "as_number": ("n", ("n",)), "as_category": ("c", ("c",)), "as_date": ("d", ("d",)),
    "image_size": ("32", 32), "augment": ("flip,crop", ("flip", "crop")),
    "class_weights": ("balanced", "balanced"),
    "seed": ("7", 7), "until": ("70", 70),
    "without": ("1a,2b", ("1a", "2b")), "data": (str(PROJECT), str(PROJECT)),
    "init_from": ("first", "first"), "name": ("second", "second"), "device": ("cuda:1", "cuda:1"),
    "config": (str(PROJECT / "README.md"), str(PROJECT / "README.md")),
    "as_config": ("new.toml", "new.toml"), "paused": ("yes", True), "pace": ("60", 60.0),
    "on_nonfinite": ("skip", "skip"), "detach": ("no", False), "plain": ("yes", True),
    "precision": ("bf16", "bf16"), "compile": ("yes", True), "deterministic": ("no", False),
    "notify": ("echo 'it ended'", "echo 'it ended'"), "log_interval": ("10", 10),
}  # fmt: skip
"""A text for each option, and the value that it stands for."""


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


@pytest.mark.parametrize("place", OWN)
def test_a_command_takes_the_options_that_the_table_has_for_it(place: Place):
    found = [item for item in command(place).params if item.name not in {*OWN[place], "home"}]
    assert [item.name for item in found] == [option.name for option in at(place)]
    for param, option in zip(found, at(place), strict=True):
        assert isinstance(param, click.Option)
        assert param.opts == [f"--{option.key}"]
        assert (param.help or "").startswith(option.help)
        assert param.is_flag == isinstance(option.type, Flag | Switch)


@pytest.mark.parametrize("place", OWN)
def test_help_has_each_option_in_its_group(place: Place, tuitrain: Shell):
    said = tuitrain.here(place, "--help").stdout
    for option in at(place):
        section = said.partition(f"\n{option.group}:\n")[2].partition("\n\n")[0]
        assert f"  --{option.key} {option.type.metavar}".rstrip() in section


def test_the_form_has_a_field_for_each_and_a_fork_for_those_that_may_change():
    assert tuple(option.name for option in at("form")) == form.FIELDS
    assert set(form.FIELDS) - set(form.OF_A_FORK) == {
        name for name in form.FIELDS if OPTIONS[name].is_of_weights
    }
    assert list(form.filled("digits")) == list(form.FIELDS)


def test_whatever_a_new_run_takes_stands_in_the_form_and_in_a_file():
    known = {option.name for option in at("run")} - {"config", "node_rank"}
    assert known == {option.name for option in at("fork")} - {"config"}
    in_form = {option.name for option in at("form")} - {"task"}
    assert known - {"detach", "plain", "log_interval"} == in_form
    assert known == {option.name for option in at("config")} - {"task", "until"}


def test_a_spec_has_the_options_that_say_what_to_train():
    names = {field.name for field in fields(RunSpec)} - {
        "schedule",
        "parent",
        "data_sha256",
        "init_given",
        "watched",
        "in_torchrun",
    }
    of_the_command = {"name", "node_rank", "config", "as_config", "without", *DISPLAY_OPTIONS}
    only_live = {option.name for option in OPTIONS.values() if set(option.places) <= {"resume"}}
    assert names == set(OPTIONS) - of_the_command - only_live


@pytest.mark.parametrize("task", TASKS)
def test_the_defaults_of_the_table_are_those_of_a_spec(task: str):
    spec = new_spec(task)
    for field in fields(RunSpec):
        option = OPTIONS.get(field.name)
        if option is not None and option.default_says != "by the task" and field.name != "task":
            assert getattr(spec, field.name) == option.default
            assert field.default in (MISSING, option.default), "of a record without it"


def test_what_can_change_live_is_what_ctl_takes():
    live = list(SETTINGS)
    assert [name for name in ctl.commands if name in live] == live
    for name in live:
        (value, *_) = (param for param in ctl.commands[name].params if param.name == "value")
        assert value.metavar == SETTINGS[name].type.metavar
    setters = [name.removeprefix("set_").replace("_", "-") for name in vars(Commands)
               if name.startswith("set_")]  # fmt: skip
    assert setters == live, "and so does a notebook"


def test_each_text_of_a_value_is_read_as_it_is_written():
    assert VALUES.keys() == OPTIONS.keys()
    for name, (text, value) in VALUES.items():
        option = OPTIONS[name]
        assert option.read(text) == option.take(value) == value
        assert option.read(option.type.write(value)) == value


@pytest.mark.parametrize("option", at("config"), ids=lambda option: option.key)
def test_a_file_may_set_an_option_to_a_value_of_its_type_only(option, tmp_path):
    _, value = VALUES[option.name]
    file = tmp_path / "run.toml"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    text = repr(list(value)) if isinstance(value, tuple) else text
    for key in (option.key, option.name):
        file.write_text(f"{key} = {text}\n")
        assert read_config(file) == {option.name: value}
    file.write_text(f"{option.key} = [1979-05-27]\n")
    with pytest.raises(WrongUse, match=f"^run.toml: {option.key} takes "):
        read_config(file)


def test_a_word_for_none_turns_an_option_off_in_a_text_and_in_a_file(tmp_path):
    words = {
        option.name: option.type.word
        for option in OPTIONS.values()
        if isinstance(option.type, OrNone) and option.type.word
    }
    assert words == {"nproc": "auto", "clip_norm": "off", "pace": "off"}
    assert all(OPTIONS[name].read(word) is None for name, word in words.items())
    assert not OPTIONS["pace"].holds("off"), "which is no value of a run"
    file = tmp_path / "run.toml"
    file.write_text('pace = "off"\n')
    assert read_config(file) == {"pace": None}
