"""The life of a trainer: it ends with its last word, and notices files that are removed.

`make faults COUNT=100` does each ten times; without it once.
"""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.conftest import Shell, until
from tuitrain.connection.client import Client
from tuitrain.core.events import Failed, RunStarted, StartupReached, Stopped
from tuitrain.store.answered import Answered
from tuitrain.store.delta import Cursor
from tuitrain.store.owner import process_of
from tuitrain.store.reader import RunReader

TIMES = max(1, int(os.environ.get("FAULTS", "10")) // 10)
SEED = int(os.environ.get("FAULTS_SEED", "1"))

LONG = ("--seed", "5", "--epochs", "5000", "--pace", "100")


def trainer_of(run: Client) -> psutil.Process:
    return until(lambda: process_of(run.paths.owner), "its trainer has written the owner file")


def gone(trainer: psutil.Process) -> None:
    until(lambda: has_ended(trainer), "it has gone")


def has_ended(trainer: psutil.Process) -> bool:
    """Return whether no thread of it is left: the last one releases the lock of its run."""
    try:
        return trainer.status() == "zombie" and trainer.num_threads() <= 1
    except psutil.NoSuchProcess:
        return True


def events_of(run: Client) -> list[object]:
    return [event.event for event in run.look(Cursor()).delta.events]


def has_digest(path: Path) -> bool:
    record = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return record.execute("pragma integrity_check").fetchone() == ("ok",)
    finally:
        record.close()


def test_a_stopped_run_is_resumed_at_once_time_after_time(tuitrain: Shell):
    run = tuitrain.start("a", *LONG)
    for _ in range(TIMES):
        tuitrain("ctl", "a", "stop")
        assert tuitrain.show("a")["state"] == "stopped"
        tuitrain("resume", "a", "--detach")
        until(lambda: run.look(run.record.end()).delta.latest, "it trains")
    tuitrain("ctl", "a", "stop")
    tuitrain("rm", "a", "--yes")
    assert not run.paths.directory.exists()


@pytest.mark.parametrize("turn", range(TIMES))
def test_a_trainer_whose_lock_is_removed_never_writes_once_another_has_started(
    tuitrain: Shell, turn: int
):
    draw = random.Random(SEED + turn)
    run = tuitrain.start("a", *LONG)
    first = trainer_of(run)
    step = draw.randrange(200)
    until(lambda: tuitrain.show("a")["step"] >= step, f"step {step} is trained")

    run.paths.lock.unlink()
    tuitrain("resume", "a", "--detach")
    gone(first)
    log = run.paths.log.read_text()
    assert "lock was re" in log, "removed or replaced: it says so"
    trainer_of(run)
    until(lambda: tuitrain.show("a")["state"] == "running", "the next one trains")
    tuitrain("ctl", "a", "stop")

    assert has_digest(run.paths.record)
    events = events_of(run)
    starts = [at for at, item in enumerate(events) if item == StartupReached("loading PyTorch")]
    assert len(starts) == 2
    after = events[starts[1] :]
    assert sum(isinstance(item, RunStarted) for item in after) == 1
    assert not any(isinstance(item, Failed) for item in after)
    assert isinstance(after[-1], Stopped)


@pytest.mark.parametrize("turn", range(TIMES))
def test_a_trainer_alone_with_a_removed_lock_says_that_it_failed(tuitrain: Shell, turn: int):
    run = tuitrain.start("a", *LONG, *(["--paused"] if turn % 2 == 0 else []))
    trainer = trainer_of(run)

    run.paths.lock.unlink()

    gone(trainer)
    shown = tuitrain.show("a")
    assert shown["state"] == "failed"
    assert shown["error"] == "its lock was removed while it was trained"


@pytest.mark.parametrize("turn", range(TIMES))
def test_a_trainer_whose_directory_is_removed_ends_and_makes_nothing_again(
    tuitrain: Shell, turn: int
):
    run = tuitrain.start("a", *LONG)
    trainer = trainer_of(run)
    aside = tuitrain.home / "aside"

    if turn % 2:
        run.paths.directory.rename(aside)
        gone(trainer)
        assert Client(aside).look(Cursor()).delta.events[-1].event == Failed(
            "its directory was moved while it was trained"
        )
        shutil.rmtree(aside)
    else:
        until(lambda: shutil.rmtree(run.paths.directory, ignore_errors=True) or not
              run.paths.directory.exists(), "it is removed")  # fmt: skip
        gone(trainer)
    assert not run.paths.directory.exists()


@pytest.mark.parametrize("turn", range(TIMES))
def test_removed_checkpoints_are_reported_and_saved_again(tuitrain: Shell, turn: int):
    is_paused = turn % 2 == 0
    run = tuitrain.start("a", *LONG, *(["--paused"] if is_paused else []))
    shutil.rmtree(run.paths.checkpoints)

    def saved() -> list[str]:
        kept = [checkpoint["file"] for checkpoint in tuitrain.show("a")["checkpoints"]]
        return kept if all((run.paths.checkpoints / item).exists() for item in kept) else []

    until(saved, "what is shown as kept is there")
    assert run.paths.checkpoints.stat().st_mode & 0o777 == 0o700
    assert any("checkpoints/ was removed" in warning for warning in tuitrain.show("a")["warnings"])
    reasons = [intervention["detail"] for intervention in tuitrain.show("a")["interventions"]]
    own = ["their folder was removed"]
    assert reasons in ([own] if is_paused else [own, []]), "the save of an epoch may come first"
    tuitrain("ctl", "a", "stop")
    tuitrain("resume", "a", "--detach")
    until(lambda: tuitrain.show("a")["state"] in ("running", "paused"), "it goes on from there")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGHUP])
def test_a_suspended_trainer_is_reported_and_a_ctl_that_ends_withdraws_its_command(
    tuitrain: Shell, ending: signal.Signals
):
    run = tuitrain.start("a", *LONG)
    trainer = trainer_of(run)
    trainer.suspend()
    command = [sys.executable, "-m", "tuitrain", "ctl", "a", "pause"]
    with subprocess.Popen(
        command, env=tuitrain.env, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as asking:
        assert asking.stderr is not None
        said = asking.stderr.readline()
        assert f"stopped by a signal; kill -CONT {trainer.pid} wakes it; Ctrl-C takes it" in said
        assert list(run.paths.inbox.glob("*.json"))
        asking.send_signal(ending)
        assert asking.wait() == 130
    assert not list(run.paths.inbox.glob("*.json"))
    trainer.resume()
    tuitrain("ctl", "a", "stop")
    assert tuitrain.show("a")["interventions"][0]["kind"] == "stop"


def test_a_change_that_a_damaged_log_lost_is_reported_at_the_resume(tuitrain: Shell):
    run = tuitrain.start("a", *LONG, "--paused")  # its log is short, and stays where it is
    tuitrain("ctl", "a", "lr", "0.003", "--wait")
    tuitrain("ctl", "a", "loss", "mse", "--at", "batch", "--wait")
    until(
        lambda: "loss swapped mse" in str(Answered.read(run.paths.answered).newest),
        "the digest, written after the record, has the swap",
    )
    trainer = trainer_of(run)
    trainer.kill()
    gone(trainer)
    log = run.paths.record.with_name("run.db-wal")
    content = bytearray(log.read_bytes())
    content[content.index(b"loss_swapped")] ^= 1
    log.write_bytes(content)

    said = tuitrain("resume", "a", "--detach").stderr

    assert "answers to commands" in said
    assert "loss swapped mse" in said
    until(lambda: tuitrain.show("a")["warnings"], "the record says so, too")
    assert said.splitlines()[0].removeprefix("tuitrain: a: ") in tuitrain.show("a")["warnings"]
    assert "loss swapped mse" in run.paths.log.read_text()
    until(lambda: tuitrain.show("a")["state"] == "running", "it goes on")
    tuitrain("ctl", "a", "stop")
    assert Answered.read(run.paths.answered).why_not(RunReader(run.paths.record).rows()) is None


ON_NFS = """
import sys

if "tuitrain.worker" in sys.orig_argv:
    import psutil
    from collections import namedtuple

    Mount = namedtuple("Mount", "mountpoint fstype")
    psutil.disk_partitions = lambda all: [Mount("/", "nfs4")]
"""


def test_a_run_on_a_network_file_system_keeps_a_rollback_journal_and_says_so(
    tuitrain: Shell, tmp_path: Path
):
    (tmp_path / "sitecustomize.py").write_text(ON_NFS)
    tuitrain.env["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(tmp_path), os.environ.get("PYTHONPATH", "")))
    )
    tuitrain.anew("run", "digits", "--detach", "--name", "a", *LONG)
    run = tuitrain.client("a")
    until(lambda: tuitrain.show("a")["step"] > 20, "it trains")
    tuitrain("ctl", "a", "lr", "0.003", "--wait")
    assert not run.paths.record.with_name("run.db-wal").exists()
    (warning,) = tuitrain.show("a")["warnings"]
    assert "network file system (nfs4)" in warning
    assert "rollback journal" in warning

    trainer = trainer_of(run)
    trainer.kill()
    gone(trainer)
    tuitrain.anew("resume", "a", "--detach")
    until(lambda: tuitrain.show("a")["state"] == "running", "it goes on")
    assert tuitrain.show("a")["warnings"] == [warning], "once a run"
    tuitrain("ctl", "a", "stop")
    assert json.loads(tuitrain("show", "a", "--json").stdout)["lr"] == 0.003
