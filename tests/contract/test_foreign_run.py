"""A run that the installed catalogue knows nothing of is as good as any other.

Its task, model, optimizer, losses and metrics have names that stand nowhere else, as those of
another version would; or they are files of its own. It is written here with the store alone.
"""

import csv
import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.conftest import Shell, until
from tests.tui.conftest import text_of
from tuitrain.connection.run import connect
from tuitrain.core.errors import UnknownName
from tuitrain.core.events import (
    CheckpointSaved,
    CommandAccepted,
    CommandRefused,
    EpochEnded,
    Event,
    LossSwapped,
    RunStarted,
    Stopped,
)
from tuitrain.core.problem import Card, LossOption, Metric, Problem
from tuitrain.store import inbox, lock
from tuitrain.store.paths import RunPaths
from tuitrain.store.schema import BatchRow, key_of
from tuitrain.store.writer import RunWriter, Stamped
from tuitrain.tui.app import TuitrainApp

PROBLEM = Problem(
    kind="ranking",
    metrics=(Metric("ndcg", "max"), Metric("misplaced", "min", "ranks")),
    monitor="ndcg",
    losses=("lambda-rank", "pairwise"),
    classes=("far", "near"),
    input_shape=(7,),
    options={"pairwise": (LossOption("gap", "1", "a number from 0 to 9", "least lead", (0, 9)),)},
    misfits={"list-net": "it needs whole lists"},
)
SPEC = {
    "task": "starlight", "model": "perceiver-9:rays=3", "loss": "lambda-rank",
    "optimizer": "lion-9:spin=2", "lr": 0.5, "batch_size": 4, "epochs": 9, "seed": 1,
}  # fmt: skip
OF_FILES = {**SPEC, "task": "my/data.csv", "model": "net.py:Net", "optimizer": "own.py:Lion"}
SETTINGS = {
    "loss": "lambda-rank", "lr": 0.5, "weight-decay": 0.0, "clip-norm": None, "batch-size": 4,
    "epochs": 9, "pace": None,
}  # fmt: skip
ENVIRONMENT = {"torch": "9.0", "threads": "1", "cpu": "AVX9", "device": "cpu"}


class Foreign:
    """A run that is trained for as long as its lock is held."""

    def __init__(self, paths: RunPaths, spec: Mapping[str, object] = SPEC) -> None:
        for folder in (paths.inbox, paths.checkpoints):
            folder.mkdir(parents=True)
        paths.spec.write_text(json.dumps(spec))
        self.paths = paths
        self._lock = lock.acquire(paths.lock)
        self._writer = RunWriter(paths.record)
        self.records(
            RunStarted(
                "cpu",
                5,
                3,
                20,
                4,
                ENVIRONMENT,
                SETTINGS,
                PROBLEM,
                Card("my own data", origin="a telescope"),
            ),
        )
        for epoch in (1, 2, 3):
            steps = range(5 * epoch - 4, 5 * epoch + 1)
            rows = [BatchRow(key_of(1, step), epoch, 1 / step, 0.5, 4, step, *[1] * 6)
                    for step in steps]  # fmt: skip
            self._writer.write(rows, [])
            metrics = {"ndcg": 0.3 * epoch, "misplaced": 9.0 / epoch}
            val_losses = {"lambda-rank": 1 / epoch, "pairwise": 2 / epoch}
            self.records(
                EpochEnded(1, 5 * epoch, epoch, "lambda-rank", 0.4, 0.5, metrics,
                           improved=True, val_losses=val_losses)
            )  # fmt: skip

        self.records(CheckpointSaved(1, 15, 3, "best", "00001-take1-step15.pt", 1, "00", "00"))

    def records(self, *events: Event) -> None:
        self._writer.write([], [Stamped(1_800_000_000.0, 9, event) for event in events])

    def answers(self) -> None:
        """Grant a swap to a loss of its own, and refuse any other, as its trainer would."""
        self._writer = RunWriter(self.paths.record)  # SQLite's connections belong to a thread
        (path,) = until(lambda: inbox.waiting(self.paths.inbox), "a command is asked for")
        request = inbox.read(path)
        path.unlink()
        loss = request.command.detail
        about = (request.id, "loss", loss)
        if loss in PROBLEM.losses:
            self.records(
                CommandAccepted(*about, "batch", request.asked_at),
                LossSwapped(request.id, 1, 15, 3, loss, "lambda-rank"),
            )
        else:
            self.records(CommandRefused(*about, f"no loss {loss!r}", request.asked_at, 2))
        self._writer.close()

    def stops(self) -> None:
        self.records(Stopped(None, 1, 15, 3, ""))
        self.lets_go()

    def lets_go(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


@pytest.fixture
def foreign(home: Path) -> Iterator[Foreign]:
    run = Foreign(RunPaths(home / "runs" / "own"))
    yield run
    run.lets_go()


def test_it_is_listed_shown_and_charted(foreign: Foreign, tuitrain: Shell):
    assert "own   running  starlight  lambda-rank  3/9" in tuitrain("ls").stdout
    shown = tuitrain.show("own")
    assert shown["kind"] == "ranking"
    assert shown["best"] == {"epoch": 3, "metric": "ndcg", "value": pytest.approx(0.9)}
    assert shown["monitor"] == "ndcg"
    assert shown["problem"] == {
        "kind": "ranking",
        "metrics": [
            {"name": "ndcg", "direction": "max"},
            {"name": "misplaced", "direction": "min", "unit": "ranks"},
        ],
        "losses": ["lambda-rank", "pairwise"],
        "classes": ["far", "near"],
        "input_shape": [7],
    }
    lines = tuitrain("show", "own").stdout
    assert "misplaced    3.000 ranks\n" in lines
    assert "data from    a telescope\n" in lines
    assert "lambda-rank" in tuitrain("plot", "own").stdout
    assert (
        "ndcg 0.9000, best 0.9000 @ epoch 3" in tuitrain("plot", "own", "--metric", "ndcg").stdout
    )
    drawn = tuitrain("plot", "own", "--metric", "misplaced").stdout
    assert "best 3.000 @ epoch 3" in drawn, "less of it is better, says the run"


def test_it_is_compared_and_exported(foreign: Foreign, home: Path, tuitrain: Shell, tmp_path: Path):
    Foreign(RunPaths(home / "runs" / "other"), OF_FILES).lets_go()
    table = tuitrain("compare", "own", "other").stdout
    assert "ndcg" in table
    assert "pairwise" in table
    assert re.search("task +starlight +data.csv", table)

    out = tmp_path / "table"
    tuitrain("export", "own", "--format", "csv", "--out", str(out))
    with (out / "epochs.csv").open() as file:
        assert [float(row["ndcg"]) for row in csv.DictReader(file)] == pytest.approx(
            [0.3, 0.6, 0.9]
        )
    for name, reason in (("own", "no task 'starlight'"), ("other", "code of your own")):
        refused = tuitrain(
            "export", name, "--format", "script", "--out", str(tmp_path / "a.py"), code=None
        )
        assert refused.returncode in (2, 3)
        assert reason in refused.stderr
        assert "Traceback" not in refused.stderr


def test_a_notebook_has_the_losses_that_it_names_and_no_others(foreign: Foreign, home: Path):
    run = connect("own", home=home)
    assert len(run.losses().steps) == 15
    assert run.losses("lambda-rank") == run.losses()
    assert run.losses("pairwise:gap=1.0") == ([], []), "it fits, and was not used"
    with pytest.raises(UnknownName, match="no loss 'mse'"):
        run.losses("mse")


@pytest.mark.parametrize(("loss", "code"), [("pairwise", 0), ("nonesuch", 2)])
def test_it_is_steered_and_its_trainer_alone_knows_its_losses(
    foreign: Foreign, tuitrain: Shell, loss: str, code: int
):
    trainer = threading.Thread(target=foreign.answers)
    trainer.start()
    said = tuitrain("ctl", "own", "loss", loss, "--at", "batch", "--wait", code=code)
    trainer.join()
    assert (tuitrain.show("own")["loss"] == loss) == (code == 0)
    assert f"loss {loss}" in said.stdout + said.stderr


async def test_the_app_shows_it_and_offers_its_own_losses(foreign: Foreign, home: Path):
    app = TuitrainApp(home, watch=foreign.paths)
    async with app.run_test(size=(120, 40)) as pilot:
        await app.screen.follow()
        await pilot.pause()
        assert "ndcg" in text_of(app)
        await pilot.press("l", "down")
        await pilot.pause()
        assert "pairwise" in text_of(app)
        assert "list-net         unfit: it needs whole lists" in text_of(app)
        assert "gap=1 (least lead)" in text_of(app)
        await pilot.press("o")
        await pilot.pause()
        assert "gap: least lead, a number from 0 to 9" in text_of(app)
        await pilot.press(*"10", "enter")
        await pilot.pause()
        assert "gap takes a number from 0 to 9 (least lead), not 10" in text_of(app)
        await pilot.press("backspace", "backspace", "3", "enter")
        await pilot.pause()
        assert "pairwise:gap=3" in text_of(app)


def test_once_it_has_ended_it_is_shown_as_before(foreign: Foreign, tuitrain: Shell):
    foreign.stops()
    shown = tuitrain.show("own")
    assert (shown["state"], shown["best"]["metric"]) == ("stopped", "ndcg")
