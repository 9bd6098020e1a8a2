"""Commands about runs that are there: their logs, their charts, their end."""

import pytest

from tests.conftest import Shell, until


@pytest.fixture
def tuitrain(threaded: Shell) -> Shell:
    """No test here needs a trainer in a process of its own."""
    return threaded


def test_a_chart_is_printed_without_the_app(tuitrain: Shell):
    tuitrain.trained("a")
    said = tuitrain("plot", "a", "--width", "60", "--height", "12").stdout

    lines = said.splitlines()
    assert lines[0] == "a: digits, cross-entropy, finished"
    assert len(lines) == 14, "and what its signs mean"
    assert max(map(len, lines)) <= 60
    assert any(0x2800 < ord(cell) <= 0x28FF for cell in said)


def test_what_the_trainer_printed_is_shown_and_can_do_the_terminal_no_harm(tuitrain: Shell):
    tuitrain.trained("a")
    with tuitrain.client("a").paths.log.open("a") as log:
        log.write("\x1b]52;c;aGk=\x07 printed\n")

    said = tuitrain("logs", "a").stdout
    assert "printed" in said
    assert "\x1b" not in said


def test_following_a_log_ends_with_its_run(tuitrain: Shell):
    tuitrain.trained("a")

    assert tuitrain("logs", "a", "-f").returncode == 0


def test_only_runs_that_are_not_going_are_deleted(tuitrain: Shell):
    run = tuitrain.start("a", "--epochs", "5000")
    assert "ctl a stop" in tuitrain("rm", "a", "--yes", code=3).stderr
    assert run.paths.spec.exists()

    tuitrain("ctl", "a", "stop")
    until(lambda: not run.look(run.record.end()).alive, "its trainer has gone")
    tuitrain("rm", "a", "--yes")
    assert not run.paths.directory.exists()
    tuitrain("rm", "a", "--yes", code=3)


def test_deleting_asks_first_and_takes_silence_for_no(tuitrain: Shell):
    tuitrain.trained("a")

    tuitrain("rm", "a", code=130)
    assert tuitrain.client("a").paths.spec.exists()
