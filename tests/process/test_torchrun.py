"""torchrun trains a run, of which it is given the directory."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.conftest import PATIENCE_S, Shell, until
from tuitrain import connect


@contextmanager
def torchrun(
    shell: Shell, folder: Path, options: Sequence[str], directory: Path
) -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable, "-m", "torch.distributed.run", *options, "-m", "tuitrain.worker",
        str(directory),
    ]  # fmt: skip
    with subprocess.Popen(
        command, env=shell.env, cwd=folder, text=True, stderr=subprocess.PIPE
    ) as process:
        yield process
        process.kill()


def test_it_leads_where_the_lock_is_and_starts_all_anew_where_a_rank_is_killed(
    tuitrain: Shell, tmp_path: Path
):
    tuitrain.start("a", "--nproc", "2", "--batch-size", "32", "--epochs", "8", "--paused")
    for command in (("pace", "2"), ("stop",)):  # slow: the run must last until its rank is killed
        tuitrain("ctl", "a", *command)
    tuitrain.ended("a")
    run = connect("a", home=tuitrain.home)
    options = ("--nproc-per-node", "2", "--max-restarts", "1")
    with torchrun(tuitrain, tmp_path, options, run.directory) as process:
        until(lambda: run.steps >= 3, "it trains")
        refused = tuitrain("resume", "a", "--plain", code=3).stderr
        assert "has not ended" in refused
        ranks = psutil.Process(process.pid).children()
        leader = psutil.Process(run_owner(run.directory))
        (follower,) = (rank for rank in ranks if rank != leader)
        os.kill(follower.pid, signal.SIGKILL)
        until(lambda: run_owner(run.directory) != leader.pid, "all have started anew")
        tuitrain("ctl", "a", "pace", "off")
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, said
    assert said.count("tuitrain: trains on 2 ranks; tuitrain attach a shows it") == 2
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


def test_where_no_host_has_the_run_it_says_so(tuitrain: Shell, tmp_path: Path):
    with torchrun(tuitrain, tmp_path, ("--nproc-per-node", "1"), tmp_path / "none") as process:
        _, said = process.communicate(timeout=PATIENCE_S)
    assert "tuitrain: no process has the run directory and its lock" in said
    assert "errors.Refused" not in said
    assert process.returncode != 0
