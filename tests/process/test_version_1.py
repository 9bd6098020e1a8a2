"""Records that version 1 made, before runs had series and details, are as good as any other.

`steered` has two swaps, an undo and a clipped gradient, and does not state its problem, as runs
did not then. `forked` is a fork of it. Both were made by the trainers of their time.
"""

import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import Shell, until
from tuitrain.connection.follower import snapshot
from tuitrain.core.detail import CONFUSION
from tuitrain.core.events import RunStarted
from tuitrain.core.series import GRADIENT_NORM
from tuitrain.store.reader import RunReader
from tuitrain.store.schema import VERSION, key_of
from tuitrain.view.state.timings import timings

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def old(tuitrain: Shell) -> Path:
    """The directory of both runs, in a home of their own."""
    runs = tuitrain.home / "runs"
    for name in ("steered", "forked"):
        with tarfile.open(DATA / f"version-1-{name}.tar.xz") as archive:
            safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # from 3.11.4 on
            archive.extractall(runs, **safely)
    spec = runs / "forked" / "spec.json"
    forked = json.loads(spec.read_text())
    forked["parent"]["directory"] = str(runs / "steered")
    spec.write_text(json.dumps(forked))
    return runs


def version(directory: Path) -> int:
    with closing(sqlite3.connect(directory / "run.db")) as db:
        return db.execute("pragma user_version").fetchone()[0]


def test_it_is_listed_shown_charted_compared_and_exported(old: Path, tuitrain: Shell):
    assert {version(old / name) for name in ("steered", "forked")} == {1}
    assert "steered" in tuitrain("ls").stdout
    shown = json.loads(tuitrain("show", "steered", "--json").stdout)
    assert (shown["kind"], shown["step"], shown["loss"]) == ("binary", 42, "l1")
    assert (shown["monitor"], shown["problem"]["classes"]) == ("accuracy", ["malignant", "benign"])
    assert [intervention["state"] for intervention in shown["interventions"]].count("undone") == 1
    assert [one["name"] for one in shown["series"]] == ["lr"]
    assert shown["series"][0]["max"] == 0.001, "0.01 was undone"
    assert shown["timings"] == {}
    assert "fork of steered @2" in tuitrain("show", "forked").stdout
    for command in (("plot", "forked"), ("plot", "steered", "--metric", "accuracy")):
        assert "steered" in tuitrain(*command).stdout or "forked" in tuitrain(*command).stdout
    assert "accuracy" in tuitrain("compare", "steered", "forked").stdout
    (event,) = (event for event in RunReader(old / "steered/run.db").events()
                if isinstance(event, RunStarted))  # fmt: skip
    assert "l1" in event.problem.losses
    out = old / "out.jsonl"
    tuitrain("export", "steered", "--format", "jsonl", "--out", str(out))
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    steps = [row["step"] for row in rows if row["kind"] == "batch"]
    assert steps == list(range(1, 43))
    assert version(old / "steered") == 1, "whoever reads it, changes nothing"


def test_a_resumed_one_has_series_and_details_from_then_on(old: Path, tuitrain: Shell):
    tuitrain("resume", "steered", "--epochs", "9", "--detach")
    run = tuitrain.client("steered")
    until(lambda: snapshot(run).state == "finished", "it is trained on")

    assert version(old / "steered") == VERSION
    now = snapshot(run)
    assert (now.epoch, now.step) == (9, 63)
    names = [one.series.name for one in now.series]
    assert names[0] == "lr"
    assert {"gradient-norm", "trainer-memory"} < set(names)
    assert sum(timings(now.series).values()) == pytest.approx(1)
    reader = RunReader(run.paths.record)
    norms = reader.measured(GRADIENT_NORM, now.take, (1, 99), 99)
    assert norms
    assert all(norm.step > 42 for norm in norms)
    ended = now.epochs[-1]
    found = reader.detail(key_of(ended.take, ended.step), CONFUSION)
    assert sum(map(sum, found["counts"])) == 171, "of each validation sample"
