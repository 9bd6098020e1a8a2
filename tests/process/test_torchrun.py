"""torchrun trains a run, of which it is given the directory, or runs a script under watch."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from tests.conftest import PACED, PATIENCE_S, Shell, until
from tests.forks import Forks
from tests.watching import LOOPBACK, SCRIPTS, Script, Scripts
from tuitrain import connect
from tuitrain.connection.run import Run

TORCHRUN = Path(sys.executable).with_name("torchrun")
TWO = ("--nproc-per-node", "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0")


@pytest.fixture
def scripts(forks: Forks, tuitrain: Shell, tmp_path: Path) -> Scripts:
    tuitrain.home.mkdir(exist_ok=True)
    return Scripts(forks, tuitrain, tmp_path)


@contextmanager
def started(shell: Shell, log: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
    """Start `torchrun COMMAND...` as a user does, in a new Python, as its ranks are."""
    env = {**shell.env, **LOOPBACK}
    with (
        log.open("w") as said,
        subprocess.Popen([TORCHRUN, *TWO, *command], env=env, stdout=said, stderr=said) as process,
    ):
        yield process
        process.kill()  # its ranks end with it


@contextmanager
def forked(scripts: Scripts, options: Sequence[str], directory: Path) -> Iterator[Script]:
    """Start `torchrun OPTIONS -m tuitrain.worker DIRECTORY` without starting PyTorch anew."""
    script = scripts.run("torchrun", *options, "-m", "tuitrain.worker", str(directory))
    yield script
    with suppress(psutil.NoSuchProcess):
        psutil.Process(script.pid).kill()


def halted(shell: Shell, name: str, *options: str) -> Run:
    """Return a run of two ranks that was stopped before its first step."""
    shell.start(name, "--nproc", "2", "--batch-size", "32", "--paused", *options)
    shell("ctl", name, "stop")
    shell.ended(name)
    return connect(name, home=shell.home)


def steered(shell: Shell, name: str) -> None:
    """Let a run that is paused take 8 steps and more, with changes on the way, and end."""
    for command in (
        ("step",), ("loss", "mse", "--at", "batch"), ("step", "2"), ("lr", "0.003"), ("step",),
        ("undo",), ("step",), ("lr", "0.002"), ("clip-norm", "0.1"), ("resume",), ("pause",),
        ("step", "3"), ("stop",),
    ):  # fmt: skip
        shell("ctl", name, *command)


def test_a_script_is_steered_on_both_ranks_of_the_real_command_at_the_same_steps(
    tuitrain: Shell, scripts: Scripts, tmp_path: Path
):
    script, log = str(SCRIPTS / "distributed.py"), tmp_path / "log"
    watch = ("-m", "tuitrain", "watch", "--plain", "--paused", "--name", "t")
    alone = scripts.start_ranks("3")
    with started(tuitrain, log, *watch, script, str(tmp_path / "report"), "100000") as process:
        until((tuitrain.home / "runs" / "t" / "run.db").exists, "it records", log.read_text)
        until(lambda: tuitrain.show("t")["state"] == "paused", "it waits", log.read_text)
        tuitrain("ctl", "t", "step")
        measured = until(lambda: tuitrain.show("t").get("ranks"), "the ranks are measured")
        assert [rank["device"] for rank in measured] == ["cpu", "cpu"]
        steered(tuitrain, "t")
        assert process.wait(PATIENCE_S) == 0, log.read_text()
    assert "Traceback" not in log.read_text()
    assert alone.ended() == 0, alone.log
    first, second = Script(scripts.server, 0, tmp_path).steps
    assert [first[:3], second[:3]] == alone.steps, "until it is changed it is as without watching"
    assert [step["weights"] for step in first] == [step["weights"] for step in second]
    for steps in (first, second):
        assert [step["is_swapped"] for step in steps] == [False] * 3 + [True] * (len(first) - 3)
        _, *more = [two["asked"] - one["asked"] for one, two in pairwise(steps)]
        assert len(set(more)) == 1, "a paused rank asks the script's own group for nothing"
    run = connect("t", home=tuitrain.home)
    assert run.state == "stopped"
    *rows, _ = run.batches()  # it ended within its last step
    assert [row.loss for row in rows] == [step["loss"] for step in first]
    assert [row.lr for row in rows] == [0.01] * 5 + [0.003, 0.01] + [0.002] * (len(rows) - 7)


def test_under_torchrun_a_run_is_steered_as_in_one_process(tuitrain: Shell, scripts: Scripts):
    """Whose batches are those of both ranks; each change is made at the same step on both."""
    run = halted(tuitrain, "a", "--seed", "1", *PACED)
    with forked(scripts, TWO, run.directory) as script:
        measured = until(lambda: tuitrain.show("a").get("ranks"), "it trains", lambda: script.log)
        assert len(measured) == 2
        tuitrain("ctl", "a", "pause")
        before = run.steps
        steered(tuitrain, "a")
        assert script.ended() == 0, script.log
    assert script.log.count("tuitrain: trains on 2 ranks; tuitrain attach a shows it") == 1
    assert run.state == "stopped"
    tuitrain.start("one", "--batch-size", "64", "--seed", "1", *PACED, "--paused")
    tuitrain("ctl", "one", "step", str(before))
    steered(tuitrain, "one")
    rows, wanted = (one.batches() for one in (run, connect("one", home=tuitrain.home)))
    assert [row.lr for row in rows[: before + 7]] == (
        [0.001] * (before + 3) + [0.003, 0.001] + [0.002] * 2
    )
    both = min(len(rows), len(wanted)) - 3  # they may have been paused at other steps
    assert [row.loss for row in rows[:both]] == pytest.approx(
        [row.loss for row in wanted[:both]], rel=1e-4
    )


def test_it_leads_where_the_lock_is_and_starts_all_anew_where_a_rank_is_killed(
    tuitrain: Shell, scripts: Scripts
):
    run = halted(tuitrain, "a", "--epochs", "8", "--pace", "2")  # slow: until its rank is killed
    options = ("--nproc-per-node", "2", "--max-restarts", "1")
    with forked(scripts, options, run.directory) as script:
        until(lambda: run.steps >= 3, "it trains", lambda: script.log)
        refused = tuitrain("resume", "a", "--plain", code=3).stderr
        assert "has not ended" in refused
        leader = psutil.Process(run_owner(run.directory))
        (follower,) = (rank for rank in psutil.Process(script.pid).children() if rank != leader)
        os.kill(follower.pid, signal.SIGKILL)
        until(lambda: run_owner(run.directory) != leader.pid, "all have started anew")
        tuitrain("ctl", "a", "pace", "off")
        assert script.ended() == 0, script.log
    assert script.log.count("tuitrain: trains on 2 ranks; tuitrain attach a shows it") == 2
    shown = tuitrain.ended("a")
    assert (shown["state"], len(shown["ranks"])) == ("finished", 2)


def run_owner(directory: Path) -> int:
    """Return the pid of the process that has the run."""
    return int(json.loads((directory / "owner.json").read_text())["pid"])


def test_without_torchrun_its_module_says_how_a_run_is_started(tuitrain: Shell, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "tuitrain.worker", str(tmp_path)], capture_output=True, text=True,
        env=tuitrain.env, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "tuitrain resume RUN" in done.stderr


def test_where_no_host_has_the_run_it_says_so(scripts: Scripts, tmp_path: Path):
    with forked(scripts, ("--nproc-per-node", "1"), tmp_path / "none") as script:
        assert script.ended() != 0
    assert "tuitrain: no process has the run directory and its lock" in script.log
    assert "errors.Refused" not in script.log
