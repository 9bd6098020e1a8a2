"""A trainer whose batch never ends is told of, with the line that it is in."""

import threading
from pathlib import Path

import pytest

from tests.conftest import until
from tuitrain.record import watchdog
from tuitrain.record.watchdog import Watchdog
from tuitrain.store import busy


@pytest.fixture(autouse=True)
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(watchdog, "LOOK_S", 0.01)
    monkeypatch.setattr(watchdog, "LONG_S", 0.02)


def test_a_thread_that_does_not_get_on_is_noted_with_its_line_until_it_does(tmp_path: Path):
    path = tmp_path / "busy.json"
    busy.write(path, busy.Busy(1.0, "of an earlier trainer"))
    with Watchdog(path, lambda frame: frame.f_code.co_name) as watched:
        noted = until(lambda: busy.read(path), "it is noted")
        assert noted.since > 1.0
        assert noted.where != "of an earlier trainer"
        threading.Thread(target=watched.alive).start()
        until(lambda: watched.alive() or not path.exists(), "it gets on")
        until(path.exists, "it is noted again, since three times as long passed")
    assert not path.exists(), "a trainer that has ended is not busy"


def test_a_note_says_whether_it_is_a_validation_that_takes_long(tmp_path: Path):
    path = tmp_path / "busy.json"
    validating: list[bool] = []
    with Watchdog(path, lambda _frame: "", lambda: bool(validating)):
        until(path.exists, "it is noted")
        assert not busy.read(path).is_validating
        validating.append(True)
        until(lambda: busy.read(path).is_validating, "the note has followed")


def test_a_note_that_cannot_be_written_or_read_is_none(tmp_path: Path):
    path = tmp_path / "missing" / "busy.json"
    with Watchdog(path, lambda _frame: "") as watched:
        watched.alive()
    path.parent.mkdir()
    for text in ("", "{}", '{"since": "x"}', "[" * 100_000):
        path.write_text(text)
        assert busy.read(path) is None
