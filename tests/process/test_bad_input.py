"""Wrong input through the real command line: a line or two, the right exit code, nothing left."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import Shell

WRONG_USE = [
    ("run", "--plain", "--optimizer", "sgd:speed=1"),
    ("run", "--plain", "--lr", "nan"),
    ("run", "--plain", "--lr", "inf"),
    ("run", "--plain", "--epochs", "0"),
    ("run", "--plain", "--epochs", "9" * 30),
    ("run", "--plain", "--seed", "-1"),
    ("run", "--plain", "--patience", "0"),
    ("run", "--plain", "--name", "../up"),
    ("run", "--plain", "--name", ".hidden"),
    ("run", "--plain", "--name", "x" * 65),
    ("run", "--plain", "--name", "a\x1b]0;owned\x07"),
    ("run", "--plain", "--config", "/"),
    ("run", "nowhere.py:task", "--plain"),
    ("show", "a", "--zzz"),
    ("ctl",),
    ("compare",),
]
"""More of them, with what they say, stand in the contract."""
REFUSED = [
    ("show", "/nowhere/at/all"),
    ("show", "\x1b[2J"),
    ("show", "x" * 5000),
]


@pytest.fixture
def read_only() -> Iterator[Callable[[Path], Path]]:
    """Make a folder read-only: by its mode, or, since root minds none, by a mount."""
    undo: list[Callable[[], object]] = []

    def make(folder: Path) -> Path:
        if os.geteuid():
            for path in (folder, *folder.rglob("*")):
                path.chmod(path.stat().st_mode & ~0o222)
                undo.append(partial(path.chmod, 0o700))
            return folder
        place = folder.with_name("read-only")
        place.mkdir()
        undo.append(partial(subprocess.run, ["umount", place], check=False))
        for options in (["--bind", folder, place], ["-o", "remount,ro,bind", place]):
            if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
                pytest.skip("root may mount nothing here")
        return place

    yield make
    for item in undo:
        item()


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """Check that stderr is fit for a user, and return it."""
    lines = done.stderr.splitlines()
    assert 1 <= len(lines) <= 2, done.stderr
    assert lines[0].startswith("tuitrain: ")
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("arguments", WRONG_USE, ids=lambda words: " ".join(words)[:50])
def test_wrong_use_exits_2(tuitrain: Shell, arguments: tuple[str, ...]):
    complaint(tuitrain.here(*arguments, code=2))
    assert not (tuitrain.home / "runs").exists() or not list((tuitrain.home / "runs").iterdir())


@pytest.mark.parametrize("arguments", REFUSED, ids=lambda words: " ".join(words)[:50])
def test_what_is_not_possible_exits_3(tuitrain: Shell, arguments: tuple[str, ...]):
    complaint(tuitrain(*arguments, code=3))
    assert not (tuitrain.home / "runs").exists() or not list((tuitrain.home / "runs").iterdir())


def test_what_is_said_and_the_exit_code_are_those_of_the_process(tuitrain: Shell):
    for arguments, code in ((("fly",), 2), (("show", "nobody"), 3), (("--version",), 0)):
        here, process = (way(*arguments, code=code) for way in (tuitrain.here, tuitrain.anew))
        assert (here.stdout, here.stderr) == (process.stdout, process.stderr)


def test_a_misspelt_name_is_answered_with_the_nearest(tuitrain: Shell):
    for arguments, nearest in (
        (("shwo",), "show"), (("run", "digts", "--plain"), "digits"),
        (("losses", "corss-entropy"), "cross-entropy"), (("run", "--los", "mse"), "--loss"),
        (("ctl", "a", "puase"), "pause"), (("ctl", "a", "pause", "--no-wiat"), "--no-wait"),
    ):  # fmt: skip
        assert f"did you mean '{nearest}'" in complaint(tuitrain.here(*arguments, code=2))


def test_a_taken_name_is_refused_and_the_run_unharmed(tuitrain: Shell):
    tuitrain.trained("a")
    before = tuitrain.show("a")
    assert "choose another" in complaint(tuitrain("run", "--plain", "--name", "a", code=3))
    assert tuitrain.show("a") == before


def test_a_command_for_a_run_that_ended_is_refused_and_nothing_written(tuitrain: Shell):
    tuitrain.trained("a")
    for command in (("pause",), ("lr", "0.1"), ("undo",), ("checkpoint",)):
        said = complaint(tuitrain("ctl", "a", *command, code=3))
        assert "tuitrain resume a first" in said
    assert list((tuitrain.home / "runs/a/inbox").iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [("lr", "0"), ("lr", "x"), ("epochs", "1.5"), ("batch-size", "0"), ("clip-norm", "-1"),
     ("weight-decay", "off"), ("step", "0"), ("loss", ""), ("rollback", "-1"), ("fly",)],
)  # fmt: skip
def test_a_command_that_makes_no_sense_exits_2(tuitrain: Shell, command: tuple[str, ...]):
    complaint(tuitrain.here("ctl", "a", *command, code=2))


@pytest.mark.parametrize(
    ("command", "description"),
    [
        (("lr", "-1"), "lr takes a number above 0, not '-1'"),
        (("epochs", "-1"), "epochs takes a whole number from 1"),
        (("step", "-1"), "step takes a whole number of batches from 1, not -1"),
        (("rollback", "-1"), "an epoch is the number of a completed one, or best, not '-1'"),
    ],
)
def test_a_number_below_zero_is_a_number_and_no_option(tuitrain: Shell, command, description: str):
    assert description in complaint(tuitrain.here("ctl", "a", *command, code=2))


@pytest.mark.parametrize("command", [("run", "--plain"), ("ls",), ("show", "a"), ("tasks",)])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_home_that_can_be_none_is_an_error_in_every_command(
    tuitrain: Shell, tmp_path: Path, command: tuple[str, ...], kind: str
):
    home = tmp_path / "here"
    if kind == "file":
        home.write_text("")
    else:
        home.symlink_to("nowhere")
    said = complaint(tuitrain.here("--home", str(home), *command, code=1))
    assert f"{home} is {'not a folder' if kind == 'file' else 'a link that leads nowhere'}" in said
    assert "choose another place with --home" in said


@pytest.mark.parametrize("command", [("run", "--plain"), ("ls",), ("ctl", "a", "pause")])
def test_a_home_with_a_name_that_no_folder_can_have_is_refused(tuitrain: Shell, command):
    said = complaint(tuitrain.here("--home", "/" + "x" * 3_000, *command, code=3))
    assert "a home of 3,001 characters has too long a name" in said
    assert len(said) < 300


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here is always full")
@pytest.mark.parametrize("command", [("tasks",), ("--help",), ("--version",), ("ls", "--json")])
def test_output_onto_a_full_device_gives_advice_that_helps(tuitrain: Shell, command):
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-m", "tuitrain", *command],
            stdout=full, stderr=subprocess.PIPE, text=True, env=tuitrain.env, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert complaint(done) == (
        "tuitrain: cannot write the output: No space left on device; send it to another place\n"
    )


@pytest.mark.parametrize("home", ["/proc/nowhere", "/dev/null", "/dev/null/below"])
def test_a_home_that_cannot_be_written_is_one_sentence_and_exit_1(tuitrain: Shell, home: str):
    said = complaint(tuitrain("--home", home, "run", "--plain", code=1))
    assert "another place with --home" in said


def test_a_home_that_is_read_only_is_one_sentence_and_exit_1(tuitrain: Shell, read_only):
    tuitrain.trained("a")
    home = str(read_only(tuitrain.home))
    for command in (("run",), ("resume", "a", "--epochs", "3"), ("rm", "a", "--yes")):
        said = complaint(tuitrain("--home", home, *command, code=1))
        assert "ead-only file system" in said or "ermission denied" in said
        assert "another place with --home" in said
    assert tuitrain("--home", home, "plot", "a").stdout
    assert json.loads(tuitrain("--home", home, "show", "a", "--json").stdout)["epoch"] == 2


def test_a_hostile_name_of_a_directory_does_no_terminal_harm(tuitrain: Shell):
    tuitrain.trained("a")
    evil = tuitrain.home / "runs" / "x\x1b]0;owned\x07"
    (tuitrain.home / "runs/a").rename(evil)
    for command in (
        ("ls",),
        ("show",),
        ("plot",),
        ("attach",),
        ("logs", "x"),
        ("rm", "x", "--yes"),
    ):
        done = tuitrain(*command)
        assert "\x1b" not in done.stdout + done.stderr
    assert not evil.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full to be full")
def test_a_full_disk_at_the_start_is_one_sentence_and_exit_1(tuitrain: Shell):
    """A file size limit of zero stands in for a full disk, which would take root."""
    program = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0));"
        "from tuitrain.cli import run; sys.exit(run(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "run", "--plain", "--name", "a"],
        capture_output=True, text=True, env=tuitrain.env, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    complaint(done)
    assert not list((tuitrain.home / "runs").iterdir())


def test_a_home_from_a_newer_version_is_said_to_be_one(tuitrain: Shell):
    tuitrain.trained("a")
    with sqlite3.connect(tuitrain.home / "runs/a/run.db") as record:
        record.execute("pragma user_version = 99")
    record.close()

    for command in ("show", "plot"):
        assert "newer tuitrain" in complaint(tuitrain(command, "a", code=1))
    listed = tuitrain("ls", "--json")
    assert json.loads(listed.stdout) == []
    assert "newer tuitrain" in listed.stderr
    assert "newer tuitrain" in complaint(tuitrain("resume", "a", "--detach", code=1))


def test_a_damaged_spec_is_said_to_be_damaged(tuitrain: Shell):
    tuitrain.trained("a")
    (tuitrain.home / "runs/a/spec.json").write_text("{")
    assert "damaged" in complaint(tuitrain("show", "a", code=1))
