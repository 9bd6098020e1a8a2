"""The runs of a home: of a hundred, only those that changed are read again."""

from pathlib import Path

import pytest

from tests.recorded import in_home
from tuitrain.store import reader
from tuitrain.store.opened import open_read_only
from tuitrain.tui.home import Home


def test_only_runs_that_changed_are_read_again(home, monkeypatch: pytest.MonkeyPatch):
    made = [in_home(home, name) for name in ("a", "b", "c")]
    for run in made:
        run.trains(1)
    opened: list[str] = []

    def counted(path: Path):
        opened.append(path.parent.name)
        return open_read_only(path)

    monkeypatch.setattr(reader, "open_read_only", counted)
    runs = Home(home)
    names = [row.run.name for row in runs.rows()]
    assert {*opened} == {*names} == {"a", "b", "c"}
    opened.clear()
    assert [row.run.name for row in runs.rows()] == names
    assert opened == []
    made[1].trains(1)
    assert sorted(row.run.epoch for row in runs.rows()) == [1, 1, 2]
    assert {*opened} == {"b"}
