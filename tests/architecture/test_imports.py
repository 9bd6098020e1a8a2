"""What each room loads when it is imported: nothing from above, and nothing heavy unasked."""

import importlib
import json
import pkgutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tuitrain.catalog import new_spec
from tuitrain.engine.build import build

PROJECT = Path(__file__).parents[2]
TRAINER_ONLY = {
    "torch", "torchvision", "torchmetrics", "pandas", "sklearn", "tuitrain.engine",
    "tuitrain.worker",
}  # fmt: skip
SEVERAL = ("following", "leading", "link")
"""Modules of the watcher for a script in several processes."""

LIST = "\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"


def loaded_by(code):
    """Return the modules that a fresh interpreter has after running `code`."""
    done = subprocess.run(
        [sys.executable, "-c", code + LIST],
        capture_output=True,
        text=True,
        check=False,
        cwd=PROJECT,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def modules_of(room):
    """Return the names of a room and everything in it; packages are imported to look into them."""
    module = importlib.import_module(room)
    if not hasattr(module, "__path__"):
        return [room]
    return [
        room,
        *(module_info.name for module_info in pkgutil.walk_packages(module.__path__, f"{room}.")),
    ]


@cache
def loaded_by_room(room):
    return loaded_by("\n".join(f"import {name}" for name in modules_of(room)))


rooms_without_torch = pytest.mark.parametrize(
    "room",
    [
        "tuitrain.core",
        "tuitrain.steering",
        "tuitrain.store",
        "tuitrain.connection.client",
        "tuitrain.trainer.supervisor",
        "tuitrain.view",
        "tuitrain.export",
        "tuitrain.connection",
        "tuitrain.cli",
        "tuitrain.tui",
    ],
)


@rooms_without_torch
def test_no_room_but_the_trainers_loads_what_trains(room):
    assert not loaded_by_room(room) & TRAINER_ONLY


@rooms_without_torch
def test_no_room_but_the_tui_loads_textual(room):
    assert ("textual" in loaded_by_room(room)) == (room == "tuitrain.tui")


@pytest.mark.parametrize(
    "room", ["tuitrain.core", "tuitrain.steering", "tuitrain.store", "tuitrain.connection.client"]
)
def test_the_lower_rooms_load_no_more_than_the_standard_library(room):
    names = {name.partition(".")[0] for name in loaded_by_room(room) - loaded_by("")}
    assert names <= sys.stdlib_module_names | {"tuitrain"}


def test_the_vocabulary_is_all_that_the_vocabulary_loads():
    rooms = {name for name in loaded_by_room("tuitrain.core") if name.startswith("tuitrain.")}
    assert all(name.startswith("tuitrain.core") for name in rooms)


def test_the_app_is_loaded_without_a_trainer():
    loaded = loaded_by("import tuitrain.tui.app")
    assert "textual" in loaded
    assert not loaded & TRAINER_ONLY


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["--version"], ["ls"]])
def test_help_and_lists_do_not_wait_for_libraries(arguments, tmp_path):
    code = f"from tuitrain.cli import run\nassert run({['--home', str(tmp_path), *arguments]}) == 0"
    loaded = loaded_by(code)
    assert not loaded & {*TRAINER_ONLY, "textual", "plotext", "numpy"}


def test_functions_of_the_engine_are_read_and_not_imported():
    loaded = loaded_by(
        "from tuitrain.export.program.source import function\n"
        "assert 'nn.Conv2d' in function('tuitrain.engine.models:cnn').text"
    )
    assert not loaded & TRAINER_ONLY


def test_the_package_itself_loads_nothing_of_it():
    loaded = loaded_by("import tuitrain") - loaded_by("")
    assert {name for name in loaded if name.startswith("tuitrain")} == {"tuitrain"}


def test_a_run_in_python_waits_for_no_library():
    in_training = {"watch", "Lightning", "hf"}  # are used in a program that trains
    every_name = (
        f"import tuitrain\nfor name in {{*tuitrain.__all__}} - {in_training}:\n"
        "    getattr(tuitrain, name)"
    )
    names = {name.partition(".")[0] for name in loaded_by(every_name) - loaded_by("")}
    assert names <= sys.stdlib_module_names | {"tuitrain"}


def test_the_loop_opens_no_record_and_knows_no_screen():
    loaded = loaded_by("import tuitrain.engine.loop")
    assert "torch" in loaded
    assert not loaded & {"textual", "plotext", "sqlite3", "tuitrain.store", "tuitrain.view"}


def test_a_trainer_opens_its_record_before_it_loads_torch():
    loaded = loaded_by("import tuitrain.worker.__main__")
    assert "tuitrain.store.writer" in loaded
    assert not loaded & {"torch", "tuitrain.engine", "textual"}


def test_what_is_said_of_a_run_in_words_needs_no_charts():
    assert "plotext" not in loaded_by(
        "import tuitrain.view.state.snapshot, tuitrain.view.text.report_lines"
    )


def test_importing_does_nothing():
    before = "import logging, signal\nwas = logging.root.handlers[:], signal.getsignal(15)\n"
    rooms = [
        "tuitrain.cli",
        "tuitrain.connection.client",
        "tuitrain.trainer.supervisor",
        "tuitrain.worker.__main__",
    ]
    after = "\nassert was == (logging.root.handlers[:], signal.getsignal(15))"
    loaded_by(before + "\n".join(f"import {room}" for room in rooms) + after)


def test_the_written_walls_stand():
    check = "from importlinter.cli import lint_imports_command as check; check()"
    done = subprocess.run(
        [sys.executable, "-c", check, "--no-cache"],
        capture_output=True, text=True, check=False, cwd=PROJECT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert " 0 broken" in done.stdout


def test_text_leaves_a_command_by_one_door_and_the_rest_is_json():
    """`print_safe` makes text safe and `say` pictures; JSON escapes what a terminal would obey."""
    doors = {"common.py", "colour.py"}
    for path in (PROJECT / "tuitrain" / "cli").glob("*.py"):
        for line in path.read_text().splitlines():
            if "echo(" in line and path.name not in doors:
                assert "json.dumps(" in line, f"{path.name}: {line.strip()}"


def test_a_run_of_one_process_loads_nothing_that_takes_as_long_as_torch_or_that_several_need(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    build(new_spec("digits", device="cpu"))  # the first one reads scikit-learn's
    loaded = loaded_by("""
from tuitrain.catalog import new_spec
from tuitrain.engine.loop import train
from tuitrain.engine.steering import Steering
from tuitrain.engine.build import build
import tuitrain.worker.trainer
run = build(new_spec("digits", device="cpu", epochs=1))
list(train(run, Steering(run)))
""")
    assert "torch" in loaded
    assert not loaded & {"sklearn", "scipy", "torchvision", "torch._dynamo"}
    several = {"leading", "following", "launch", "agent", "rank", "torchrun", "join"}
    of_ranks = {"tuitrain.engine.ranks", *(f"tuitrain.worker.{name}" for name in several)}
    assert not loaded & of_ranks
    assert not loaded & {"torch.distributed.elastic", "torch.distributed.fsdp"}


def test_a_script_in_one_process_is_watched_without_what_several_need():
    loaded = loaded_by("import tuitrain.watcher.__main__")
    several = {"tuitrain.engine.ranks", *(f"tuitrain.watcher.{name}" for name in SEVERAL)}
    assert "tuitrain.watcher.watch" in loaded
    assert not loaded & several
