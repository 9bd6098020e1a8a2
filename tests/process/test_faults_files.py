"""Run directories and surroundings that are not as they should be, at random.

`make faults COUNT=100` plants a hundred links, and starts a tenth as many trainers of each kind.
"""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PATIENCE_S, Shell, until
from tests.recorded import in_home
from tuitrain import cli
from tuitrain.store.paths import RunPaths

COUNT = max(1, int(os.environ.get("FAULTS", "4")))
"""Runs with something planted in them."""
STARTS = max(1, COUNT // 10)
"""Trainers started by each of the other tests."""
SEED = int(os.environ.get("FAULTS_SEED", "1"))

WRITTEN = (
    "run.db", "run.db-wal", "run.db-shm", "run.db-journal", "lock", "owner.json", "trainer.log",
    "reserve", "spec.json", "inbox", "checkpoints",
)  # fmt: skip
SHADOWING = ("types", "random", "copy", "torch", "statistics", "json", "psutil", "sitecustomize")


@pytest.fixture
def recorded(tuitrain: Shell) -> RunPaths:
    """A run that was trained and has no trainer now."""
    run = in_home(tuitrain.home, "a", epochs=500)
    run.trains(1)
    run.close()
    return tuitrain.client("a").paths


@pytest.fixture
def console(tmp_path: Path) -> Path:
    """The command as pip installs it."""
    script = tmp_path / "bin" / "tuitrain"
    script.parent.mkdir()
    script.write_text(
        f"#!{sys.executable}\nimport sys\nfrom tuitrain.cli import main\nsys.exit(main())\n"
    )
    script.chmod(0o700)
    return script


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_no_planted_link_is_followed_by_any_command(
    tuitrain: Shell, recorded: RunPaths, tmp_path: Path
):
    draw = random.Random(SEED)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "thesis.tex").write_text("mine")
    shutil.copyfile(recorded.record, outside / "run.db")
    before = contents(outside)
    for number in range(COUNT):
        run = recorded.directory.with_name(f"planted-{number}")
        shutil.copytree(recorded.directory, run)
        name = draw.choice(WRITTEN)
        if (run / name).is_dir():
            (run / name).rmdir()
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(outside / draw.choice(["thesis.tex", "run.db", "new", "."]))
        for command in (["show"], ["logs"], ["resume", "--detach"], ["rm", "--yes"]):
            cli.run(["--home", str(tuitrain.home), command[0], run.name, *command[1:]])
        assert contents(outside) == before, f"{name} was followed"
        assert name == "spec.json" or not run.exists()


@pytest.mark.parametrize("round_", range(STARTS))
def test_a_trainer_started_with_closed_descriptors_holds_its_lock(
    tuitrain: Shell, console: Path, round_: int
):
    draw = random.Random(SEED + round_)
    closed = draw.sample(["<&-", ">&-", "2>&-"], draw.randrange(1, 4))
    started = subprocess.run(
        ["sh", "-c", f'exec "$0" run digits --detach --name a --pace 20 {" ".join(closed)}',
         console],
        env=tuitrain.env, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert started.returncode == 0
    until(lambda: tuitrain.show("a")["state"] not in ("starting", "crashed"), "it trains")

    assert tuitrain.show("a")["state"] == "running"
    assert "a has not ended" in tuitrain("resume", "a", "--detach", code=3).stderr


@pytest.mark.parametrize("round_", range(STARTS))
def test_files_named_like_modules_in_the_working_folder_are_not_executed(
    tuitrain: Shell, console: Path, tmp_path: Path, round_: int
):
    folder = tmp_path / "work"
    folder.mkdir()
    for name in SHADOWING:
        (folder / f"{name}.py").write_text(
            f"from pathlib import Path\nPath({str(tmp_path / 'executed')!r}).touch()\n"
        )
    for command in (["run", "digits", "--plain", "--name", "a", "--epochs", "1"], ["devices"]):
        done = subprocess.run(
            [console, *command], cwd=folder, env=tuitrain.env, timeout=2 * PATIENCE_S,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert tuitrain.show("a")["state"] == "finished"
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("round_", range(STARTS))
def test_a_run_deleted_and_resumed_at_once_is_gone_or_lives(
    tuitrain: Shell, recorded: RunPaths, round_: int
):
    draw = random.Random(SEED + round_)
    commands = [["rm", "a", "--yes"], ["resume", "a", "--detach"], ["rm", "a", "--yes"]]
    draw.shuffle(commands)
    processes = [
        (command[0], subprocess.Popen([sys.executable, "-m", "tuitrain", *command],
         env=tuitrain.env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
        for command in commands
    ]  # fmt: skip
    said = [(name, process.communicate()[1], process.returncode) for name, process in processes]
    codes = {(name, code) for name, _, code in said}

    if recorded.directory.exists():
        assert codes == {("rm", 3), ("resume", 0)}, said
        until(lambda: tuitrain.show("a")["state"] == "running", "it lives")
    else:
        assert codes <= {("rm", 0), ("rm", 3), ("resume", 3)}, said
        assert ("rm", 0) in codes, said
        assert list(recorded.directory.parent.iterdir()) == []
