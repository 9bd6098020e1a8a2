"""--notify: a command is told what became of a run, and can do the training no harm."""

import os
import sys

import pytest

from tests.conftest import until
from tests.recorded import in_home
from tuitrain.connection import notifier
from tuitrain.connection.client import Client
from tuitrain.connection.follower import snapshot
from tuitrain.core.errors import WrongUse
from tuitrain.core.events import Failed, Finished, NotFinite, Paused, Stopped
from tuitrain.store import lock
from tuitrain.store.paths import RunPaths
from tuitrain.trainer.notify import command_words, notify
from tuitrain.view.panel.news import as_message, news

TELL = """
import os, sys
with open(sys.argv[1], "a") as file:
    file.write("|".join([os.environ["TUITRAIN_EVENT"], os.environ["TUITRAIN_STEP"], sys.argv[2]]))
    file.write("\\n")
"""


@pytest.fixture
def recorded(home):
    run = in_home(home, "a", epochs=2)
    run.trains(1)
    return run


@pytest.fixture
def paths(home):
    return RunPaths(home / "runs" / "a")


@pytest.fixture
def teller(tmp_path):
    script, file = tmp_path / "tell.py", tmp_path / "news"
    script.write_text(TELL)
    return [sys.executable, str(script), str(file)], file


def test_the_command_is_told_of_a_pause_by_nan_and_of_a_kill(recorded, paths, teller):
    command, file = teller
    held = lock.acquire(paths.lock)
    notify(paths, command)
    recorded.records(NotFinite(1, 23, 1, "loss"), Paused(None, 1, 23, 1))
    until(file.exists, "the pause is told")
    os.close(held)  # as the kernel does for a trainer that is killed
    until(lambda: file.read_text().count("\n") == 2, "the crash is told")
    paused, crashed = file.read_text().splitlines()
    assert paused == "paused|23|tuitrain: a paused at step 23: loss not finite at step 23"
    assert crashed.startswith("crashed|23|tuitrain: a crashed at step 23: the trainer process died")
    assert "notify" not in paths.read_spec().to_json(), "who resumes it starts nothing"


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (Finished(1, 23, 1), "a finished at step 23: best accuracy 0.3376 in epoch 1"),
        (Failed("it is full"), "a failed at step 23: it is full"),
        (Stopped("w", 1, 23, 1, ""), None),
    ],
)
def test_how_a_run_ended_is_news_unless_a_user_stopped_it(recorded, paths, last, message):
    before = recorded.now()
    recorded.records(last)
    run = snapshot(Client(paths.directory))
    assert (news(before, run) is not None) == (message is not None)
    assert news(run, run) is None
    assert message is None or as_message(run).startswith(f"tuitrain: {message}")


@pytest.mark.parametrize(
    ("code", "within_s", "warning"),
    [
        ("raise SystemExit(3)", 60.0, "ended with exit code 3"),
        ("import time; time.sleep(600)", 0.6, "was killed: it had not ended after 1 s"),
    ],
)
def test_a_command_that_fails_or_hangs_is_a_warning(
    recorded, monkeypatch, capfd, code, within_s, warning
):
    monkeypatch.setattr(notifier, "_ENDS_WITHIN_S", within_s)
    notifier.tell([sys.executable, "-c", code], recorded.now(), "failed")
    said = capfd.readouterr().err
    assert said.startswith("tuitrain: warning: --notify ")
    assert said.endswith(f" {warning}\n")


def test_a_command_that_cannot_be_started_is_a_warning(recorded, capfd):
    notifier.tell(["/nowhere/to/be/found"], recorded.now(), "failed")
    assert "warning: --notify /nowhere/to/be/found cannot be started" in capfd.readouterr().err


def test_a_command_that_is_none_is_refused_before_anything_starts(tuitrain):
    assert command_words("echo 'it ended'") == ["echo", "it ended"]
    assert command_words(None) == []
    for wrong in ("", "no-such-program x", "echo 'open"):
        with pytest.raises(WrongUse, match="notify takes a command"):
            command_words(wrong)
    said = tuitrain("run", "digits", "--notify", "no-such-program", "--plain", code=2).stderr
    assert said == "tuitrain: notify takes a command, and there is no program 'no-such-program'\n"
    assert not (tuitrain.home / "runs").exists()
