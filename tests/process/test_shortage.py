"""Runs that run short of memory or disk in the middle, and go on when there is enough again."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import torch

from tests.conftest import PATIENCE_S, Shell, until
from tests.process.test_ranks import launcher_of, ranks_of, run_of
from tests.watching import SCRIPTS
from tuitrain.connection.client import Client
from tuitrain.engine import loop
from tuitrain.store.paths import RunPaths, runs_in
from tuitrain.trainer import supervisor


@pytest.fixture
def tuitrain(threaded: Shell) -> Shell:
    """Only a full disk is met in a process of its own."""
    return threaded


@pytest.fixture
def short_of_memory(monkeypatch) -> None:
    """Limit the memory of trainers to batches of 300 samples."""
    real = loop.train_step

    def train_step(run, data, *rest):
        if len(data) > 300:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return real(run, data, *rest)

    monkeypatch.setattr(loop, "train_step", train_step)


def gone(client: Client) -> bool:
    return not client.look(client.record.end()).alive


def advised(said: str) -> list[str]:
    """Return the command that a message ends with, as a user would type it."""
    found = re.search(r"tuitrain (resume [^;]*)", said)
    assert found, said
    return found[1].split()


def test_a_batch_too_large_for_memory_fails_in_one_sentence_whose_advice_works(
    tuitrain: Shell, short_of_memory
):
    run = tuitrain.start("a", "--epochs", "6", "--paused")
    tuitrain("ctl", "a", "step", "30")
    tuitrain("ctl", "a", "batch-size", "512")
    tuitrain("ctl", "a", "resume", "--no-wait")
    until(lambda: gone(run), "it has failed")

    shown = tuitrain.show("a")
    assert (shown["state"], shown["epoch"], shown["batch_size"]) == ("failed", 2, 512)
    assert "out of memory with batches of 512" in shown["error"]
    assert shown["checkpoints"]
    tuitrain(*advised(shown["error"]), "--plain")
    shown = tuitrain.show("a")
    assert (shown["state"], shown["epoch"], shown["batch_size"]) == ("finished", 6, 256)


def test_a_first_batch_too_large_is_trained_in_smaller_ones(tuitrain: Shell, short_of_memory):
    said = tuitrain(
        "run", "--batch-size", "1024", "--epochs", "2", "--plain", "--name", "a", code=1
    ).stderr
    assert "out of memory with batches of 1,024" in said
    assert len(said.splitlines()) == 1
    again = tuitrain(*advised(said), "--plain", code=1).stderr
    assert "out of memory with batches of 512" in again
    tuitrain(*advised(again), "--plain")
    assert tuitrain.show("a")["batch_size"] == 256


def test_another_batch_size_goes_on_from_the_end_of_an_epoch(tuitrain: Shell):
    tuitrain.halted("a")  # in the middle of an epoch
    tuitrain("resume", "a", "--batch-size", "0", code=2)
    tuitrain("resume", "a", "--batch-size", "128", "--plain")

    shown = tuitrain.show("a")
    assert (shown["state"], shown["batch_size"], shown["take"]) == ("finished", 128, 2)
    changed = next(
        intervention
        for intervention in shown["interventions"]
        if intervention["kind"] == "batch-size"
    )
    assert changed["step"] == changed["epoch"] * 23


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of eight megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk")
    yield place
    for paths in runs_in(place / "home"):
        supervisor.kill(paths)
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(path: Path) -> None:
    """Write the file until there is no room any more."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while True:
            os.write(descriptor, bytes(4096))
    os.close(descriptor)


def test_a_run_that_fills_its_disk_says_so_and_goes_on_when_there_is_room(
    tuitrain: Shell, small_disk: Path
):
    tuitrain.trained("undisturbed", "--seed", "1", "--epochs", "12")
    weights = tuitrain.show("undisturbed")["weights_sha256"]
    tuitrain.home = small_disk / "home"
    tuitrain.env["TUITRAIN_HOME"] = str(tuitrain.home)
    options = ("--seed", "1", "--epochs", "12", "--paused", "--detach", "--name", "a")
    tuitrain.process("run", *options)
    until(lambda: tuitrain.show("a")["state"] == "paused", "it waits")
    tuitrain("ctl", "a", "step", "23")
    tuitrain("ctl", "a", "pace", "5")  # its end is far, however slow this machine
    tuitrain("ctl", "a", "resume")
    fill(small_disk / "other")

    shown = tuitrain.ended("a")
    assert shown["state"] == "failed"
    assert "make room, then: tuitrain resume a" in shown["error"]
    fill(small_disk / "more")
    assert "No space left" in tuitrain.process("resume", "a", "--plain", code=1).stderr
    assert tuitrain("plot", "a").stdout
    for name in ("other", "more"):
        (small_disk / name).unlink()
    tuitrain.process("resume", "a", "--detach")
    tuitrain("ctl", "a", "pace", "off")
    assert tuitrain.ended("a")["weights_sha256"] == weights


@pytest.mark.parametrize("kind", ["run", "watch"])
def test_ranks_that_end_while_the_disk_is_full_say_why(
    tuitrain: Shell, small_disk: Path, tmp_path: Path, kind: str
):
    tuitrain.home = small_disk / "home"
    tuitrain.env["TUITRAIN_HOME"] = str(tuitrain.home)
    loop = (str(SCRIPTS / "distributed.py"), str(tmp_path / "report"), "100000")
    options = ("--nproc", "2", "--pace", "60", "--detach", "--name", "a")
    tuitrain.process(kind, *options, *(loop if kind == "watch" else ()))
    run = run_of(tuitrain, "a")
    until(lambda: run.show()["step"], "it trains")
    fill(small_disk / "other")
    ranks_of(run)[1].kill()
    until(lambda: gone(tuitrain.client("a")), "it ends")
    error = run.show()["error"]
    assert re.search(r"rank \d on|is full", error or ""), error
    assert run.state == "failed"
    assert not RunPaths(run.directory).disk_reserve.exists()


def test_ranks_that_go_on_training_after_their_record_has_ended_hold_no_run(
    tuitrain: Shell, small_disk: Path, tmp_path: Path
):
    tuitrain.home = small_disk / "home"
    tuitrain.env["TUITRAIN_HOME"] = str(tuitrain.home)
    report = tmp_path / "report"
    loop = (str(SCRIPTS / "distributed.py"), str(report), "1000000")
    tuitrain.process("watch", "--nproc", "2", "--pace", "60", "--detach", "--name", "a", *loop)
    run = run_of(tuitrain, "a")
    until(lambda: run.show()["step"], "it trains")
    launcher, ranks = launcher_of(run), ranks_of(run)
    fill(small_disk / "other")
    until(lambda: gone(tuitrain.client("a")), "its record has ended")
    shown = run.show()
    assert shown["state"] == "failed"
    assert "watching ended at step" in shown["error"]
    size = (tmp_path / "report-1").stat().st_size
    until(lambda: (tmp_path / "report-1").stat().st_size > size, "both train on")
    tuitrain("rm", "a", "--yes")
    launcher.terminate()
    psutil.wait_procs([launcher, *ranks], timeout=PATIENCE_S)
    assert not any(process.is_running() for process in (launcher, *ranks))
    assert not run.directory.exists()
