"""A run directory may come from anywhere: its contents are never trusted, executed or hidden.

`make faults COUNT=100` draws a hundred times; without it a few have to do.
"""

import json
import os
import random
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import Shell, until
from tests.damage import HOSTILE, READABLE, UNREADABLE, planted
from tests.process.conftest import opened
from tuitrain import cli

COUNT = int(os.environ.get("FAULTS", "4"))
SEED = int(os.environ.get("FAULTS_SEED", "1"))
BODILY = (b"\x1b]0;PWNED", b"\x1b]52;", b"\x1b[6n", b"\xc2\x9b", "\u202e".encode())
"""What the hostile text has that neither we nor Textual ever write, as bytes."""


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the engine's own making, with changes, an undo and checkpoints."""
    tuitrain = Shell(tmp_path_factory.mktemp("source"))
    tuitrain("run", "digits", "--detach", "--name", "src", "--epochs", "4", "--paused")
    tuitrain("ctl", "src", "step", "30", "--wait")
    tuitrain("ctl", "src", "lr", "0.002", "--wait")
    tuitrain("ctl", "src", "undo", "--wait")
    tuitrain("ctl", "src", "loss", "l1", "--at", "batch", "--wait")
    tuitrain("ctl", "src", "resume")
    run = tuitrain.client("src")
    until(lambda: not run.look(run.record.end()).alive, "it is trained")
    in_one_file(run.paths.record)
    return run.paths.directory


def in_one_file(record: Path) -> None:
    """Bring the log back: a reader at the trainer's end leaves it, and it outlives the damage."""
    with closing(sqlite3.connect(record)) as db:
        assert db.execute("pragma wal_checkpoint(truncate)").fetchone()[0] == 0


@pytest.fixture
def damaged(source: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run, next to an undamaged copy in the same home."""
    monkeypatch.setenv("TUITRAIN_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "100")
    shutil.copytree(source, home / "runs" / "good")
    return Path(shutil.copytree(source, home / "runs" / "bad"))


@pytest.mark.parametrize("damage", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_one_sentence_and_hides_no_other(damaged, capfd, damage):
    damage(damaged)
    assert cli.run(["ls"]) == 0
    listed = capfd.readouterr()
    assert "good" in listed.out
    assert listed.err.startswith("tuitrain: bad cannot be read: its ")
    assert len(listed.err.splitlines()) == 1
    assert listed.err.endswith("; tuitrain rm bad deletes it\n")
    assert cli.run(["ls", "--json"]) == 0
    assert [run["name"] for run in json.loads(capfd.readouterr().out)] == ["good"]
    for command in (
        ["show"], ["plot"], ["attach"], ["resume", "--detach"], ["export", "--format", "jsonl"]
    ):  # fmt: skip
        code = cli.run([command[0], "bad", *command[1:]])
        captured = capfd.readouterr()
        assert code in (1, 3), (command, captured)
        assert len(captured.err.splitlines()) == 1, (command, captured)
        assert "unexpected" not in captured.err, command


@pytest.mark.parametrize("damage", READABLE.values(), ids=READABLE)
def test_what_can_be_read_is_shown_as_far_as_it_goes(damaged, capfd, damage):
    damage(damaged)
    for command in (["ls"], ["show", "bad"], ["show", "bad", "--json"], ["plot", "bad"]):
        assert cli.run(command) == 0, (command, capfd.readouterr().err)
        captured = capfd.readouterr()
        assert "bad" in captured.out
        assert captured.err == ""


@pytest.mark.parametrize("damage", ["spec with a hostile command", "spec with an endless command"])
def test_the_command_of_a_script_is_made_safe_and_bounded(damaged, capfd, tmp_path, damage):
    READABLE[damage](damaged)
    for command, code in (
        (["show", "bad"], 0), (["compare", "bad", "good"], 0), (["resume", "bad"], 3),
        (["replay", "bad"], 3), (["fork", "bad", "--epoch", "0"], 3), (["predict", "bad"], 3),
        (["export", "bad", "--format", "script", "--out", str(tmp_path / "a.py")], 3),
        (["ctl", "bad", "lr", "1"], 3),
    ):  # fmt: skip
        assert cli.run(command) == code, command
        captured = capfd.readouterr()
        assert captured.out + captured.err
        assert max(map(len, (captured.out + captured.err).splitlines())) < 1000, command
        assert not set("\x1b\x07\x9b\u202e") & set(captured.out + captured.err), command


def test_nobody_waits_for_a_checkpoint_that_is_no_file(damaged, tuitrain: Shell, tmp_path):
    for number, file in enumerate(sorted((damaged / "checkpoints").iterdir())):
        file.unlink()
        os.mkfifo(file) if number % 2 else file.symlink_to("/dev/zero")
    for command in (
        ["export", "bad", "--format", "weights", "--out", str(tmp_path / "a")],
        ["fork", "bad", "--epoch", "0", "--detach"],
        ["run", "--init-from", "bad", "--detach"],
    ):
        done = tuitrain(*command, code=None)
        assert done.returncode in (1, 3), command
        assert re.search(r"is (a link|not a plain file)", done.stderr), command
    resumed = tuitrain("resume", "bad", "--epochs", "5", "--plain")
    assert "00001-take1-step0.pt is not a plain file" in resumed.stdout


def test_no_file_outside_a_run_is_touched_by_its_names(damaged, tmp_path):
    thesis = tmp_path / "thesis.tex"
    thesis.write_text("years")
    draw = random.Random(SEED)
    names = [str(thesis), f"../../../../{thesis.name}", f"x/../../../../../{thesis.name}"]
    for _ in range(COUNT):
        field = draw.choice(["file", "origin"])
        with closing(sqlite3.connect(damaged / "run.db")) as db, db:
            number, body = draw.choice(db.execute(
                "select id, body from event where json_type(body, ?) = 'text'", (f"$.{field}",)
            ).fetchall())  # fmt: skip
            found = json.dumps(json.loads(body) | {field: draw.choice(names)})
            db.execute("update event set body = ? where id = ?", (found, number))
        for command in (
            ["resume", "bad", "--epochs", "8", "--plain"],
            ["fork", "bad", "--epoch", "0", "--plain"],
            ["export", "bad", "--format", "weights", "--out", str(tmp_path / "out.pt")],
            ["run", "--init-from", "bad", "--plain"],
        ):
            assert cli.run(command) == 1, command
        assert thesis.read_text() == "years"
        assert sorted(tmp_path.iterdir()) == [tmp_path / "home", thesis]
        with closing(sqlite3.connect(damaged / "run.db")) as db, db:
            db.execute("update event set body = ? where id = ?", (body, number))


def test_no_command_writes_a_byte_that_a_terminal_would_obey(source, home, tuitrain: Shell):
    planted(source, home / "runs" / "a")
    planted(source, home / "runs" / f"b{HOSTILE.replace('/', '')}")
    for command in (
        ["ls"], ["show", "a"], ["plot", "a"], ["plot", "a", "--metric", "accuracy"], ["logs", "a"],
        ["plot", "a", "--metric", f"gradient-norm{HOSTILE}"], ["plot", "a", "--metric", "x"],
        ["compare", "a", "b", "--metric", f"gradient-norm{HOSTILE}"],
        ["compare", "a", "b"], ["attach", "a"], ["ctl", "a", "stop"], ["replay", "a", "--detach"],
        ["export", "a", "--format", "script", "--out", str(home / "a.py")], ["show", "b"],
    ):  # fmt: skip
        done = tuitrain(*command, code=None)
        assert done.stdout + done.stderr
        written = (done.stdout + done.stderr).encode()
        assert b"\x1b" not in written, command
        assert b"\x07" not in written, command
        assert b"\xc2\x9b" not in written, command
        assert "\u202e".encode() not in written, command
    planted_name = f"gradient-norm{HOSTILE}"
    assert "gradient-norm␛]0;PWNED" in tuitrain("plot", "a", "--metric", planted_name).stdout


def test_the_app_writes_no_byte_of_a_hostile_record(source, home, tuitrain: Shell, terminals):
    planted(source, home / "runs" / "a")
    planted(source, home / "runs" / "b")
    screen = opened(terminals, tuitrain, size=(140, 40), TERM="xterm-256color")
    screen.expect("2 runs")
    screen.press("mjmC")
    screen.expect("what differs")
    screen.press("q")
    screen.expect("2 runs")
    screen.press("\r")
    screen.expect("finished at step 92")
    for key, there in (("f", "esc cancels"), ("?", "esc closes")):
        screen.press(key)
        screen.expect(there)
        screen.press("\x1b")
        until(lambda there=there: there not in screen.text(), f"{there!r} is gone")
    screen.press("v")
    screen.press("q")
    screen.expect("2 runs")
    screen.press("q")
    until(screen.has_ended, "the app has ended")
    assert screen.status == 0
    for part in BODILY:
        assert part not in screen.raw
