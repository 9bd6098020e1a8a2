"""Watched scripts as they are shown, listed, exported, refused and removed."""

import csv
import json
import re
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.conftest import Library, Shell
from tests.forks import Forks
from tests.tui.conftest import text_of
from tests.watching import Script
from tuitrain.tui.app import TuitrainApp

LOADED = """
import sys, torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
loader = DataLoader(TensorDataset(torch.randn(96, 8), torch.randint(3, (96,))), batch_size=32)
model = nn.Linear(8, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loss_of = nn.CrossEntropyLoss()
for epoch in range(int(sys.argv[1])):
    for x, y in loader:
        optimizer.zero_grad()
        loss_of(model(x), y).backward()
        optimizer.step()
"""
VALIDATED = f"""{LOADED}
    with torch.no_grad():
        for x, y in DataLoader(loader.dataset, batch_size=48):
            loss_of(model(x), y)
"""
BY_HAND = """
import torch
w = torch.zeros(4, requires_grad=True)
for _ in range(5):
    ((w - 1) ** 2).sum().backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
        w.grad = None
"""
KILLED = """
import os, signal
os.kill(os.getpid(), signal.SIGKILL)
"""
DIVERGED = VALIDATED.replace(
    "    for x, y in loader:",
    "    optimizer.param_groups[0]['lr'] = 3e38 if epoch else 0.1\n    for x, y in loader:",
)
RUNS = {
    "loaded": LOADED, "validated": VALIDATED, "by-hand": BY_HAND, "killed": KILLED,
    "diverged": DIVERGED,
}  # fmt: skip


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scripts")
    for name, text in RUNS.items():
        (folder / f"{name}.py").write_text(text)
    return folder


@pytest.fixture
def tuitrain(library: Library, scripts: Path, tuitrain: Shell, forks: Forks) -> Shell:
    """A home with a run of each script."""
    for name in RUNS:
        script = str(scripts / f"{name}.py")

        def watch(of: Shell, name: str = name, script: str = script) -> None:
            of.home.mkdir(exist_ok=True)
            log = of.home / f"{name}.log"
            log.touch()
            line = ["watch", "--plain", "--home", str(of.home), "--name", name, script, "2", "it's"]
            Script(forks, forks.submit(run=line, log=str(log)), of.home).ended()

        tuitrain.copy_of(f"watched {name}", watch, name)
    return tuitrain


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_only_what_a_script_has_shown_is_said_of_it(tuitrain: Shell):
    shown = tuitrain.show("validated")
    known = {"origin": "watch", "epoch": 2, "step": 6, "steps_per_epoch": 3, "lr": 0.1,
             "model": "Linear", "optimizer": "SGD", "loss": "cross-entropy"}  # fmt: skip
    assert {key: shown[key] for key in known} == known
    assert [shown[key] for key in ("epochs", "batch_size", "seed")] == [None, None, None]
    by_hand = tuitrain.show("by-hand")
    unknown = ("model", "optimizer", "lr", "steps_per_epoch", "kind", "train_loss", "val_loss")
    assert [by_hand[key] for key in unknown] == [None] * len(unknown)
    lines = tuitrain("show", "validated").stdout.splitlines()
    assert "  step         6" in lines
    assert "  epoch        2" in lines
    assert not any("seed" in line or "batch 0" in line or "of" in line.split() for line in lines)
    listed = {line.split()[0]: line.split() for line in tuitrain("ls").stdout.splitlines()}
    assert listed["by-hand"][-4:] == ["–", str(by_hand["step"]), "–", "–"]
    assert listed["loaded"][-4:] == ["2", "6", "–", "–"]


def test_lines_of_a_script_have_no_total(tuitrain: Shell):
    said = tuitrain("attach", "validated").stdout
    assert "epoch 2  train loss" in said
    assert "finished: epoch 2, step 6" in said
    assert "/0" not in said


def test_what_only_the_script_can_do_is_refused_with_its_command(
    tuitrain: Shell, tmp_path: Path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for command in (
        ("resume",), ("resume", "--epochs", "9"), ("replay",), ("fork", "--epoch", "1"),
        ("replay", "--as-config", "new.toml"), ("export", "--format", "script"), ("predict",),
        ("ctl", "lr", "0.1"),
    ):  # fmt: skip
        name, *options = command
        said = tuitrain.here(name, "validated", *options, code=3).stderr
        assert re.search(r"tuitrain watch /\S+/validated\.py 2 'it'\"'\"'s'", said), command
        assert len(said.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]
    assert len(list((tuitrain.home / "runs").iterdir())) == len(RUNS)


def test_an_epoch_without_a_validation_is_exported_without_its_loss(tuitrain: Shell, tmp_path):
    for form in ("csv", "jsonl", "tensorboard", "weights"):
        tuitrain("export", "loaded", "--format", form, "--out", str(tmp_path / form))
    epochs = rows(tmp_path / "csv" / "epochs.csv")
    assert [row["val_loss"] for row in epochs] == ["", ""]
    assert all(float(row["train_loss"]) for row in epochs)
    objects = [json.loads(line) for line in (tmp_path / "jsonl").read_text().splitlines()]
    assert [row["val_loss"] for row in objects if row["kind"] == "epoch"] == [None, None]
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert "epoch/val_loss" not in board.Tags()["scalars"]
    assert [scalar.step for scalar in board.Scalars("epoch/train_loss")] == [3, 6]


def test_an_epoch_without_a_validation_leaves_no_mark_on_the_chart(tuitrain: Shell):
    assert "×" not in tuitrain("plot", "loaded").stdout
    _, *chart, _ = tuitrain("plot", "validated").stdout.splitlines()
    assert {"o", "°"} & set("".join(chart)), "its validations"


def test_scripts_without_a_validation_have_nothing_to_compare_but_series(tuitrain: Shell):
    said = tuitrain("compare", "loaded", "validated", code=3).stderr
    assert "no validation was seen of loaded: tuitrain compare --metric NAME compares" in said
    compared = tuitrain("compare", "loaded", "validated", "--metric", "lr").stdout
    assert "by epoch" in compared
    assert "SGD lr 0.1" in compared
    assert "A 0.1" in compared


def test_a_series_is_compared_by_step_where_a_script_has_no_epochs(tuitrain: Shell):
    series = {one["name"] for one in tuitrain.show("by-hand")["series"]} - {"lr"}
    compared = tuitrain("compare", "by-hand", "loaded", "--metric", min(series)).stdout
    assert "by step" in compared
    axis = next(line for line in compared.splitlines() if line.split()[:1] == ["0"])
    assert axis.split()[-1] == str(tuitrain.show("loaded")["step"])


def test_a_diverged_script_is_said_to_be_with_what_can_be_done_about_it(tuitrain: Shell):
    said = tuitrain("show", "diverged").stdout
    (advice,) = (line.strip() for line in said.splitlines() if "diverging" in line)
    assert advice == (
        "diverging: the training loss is NaN · lower the rate (3e+38) in its script · "
        "tuitrain export diverged --format weights --which best has its best weights"
    )


def test_the_best_epoch_of_a_script_has_the_weights_of_its_end(tuitrain: Shell, tmp_path):
    best = tuitrain.show("validated")["best"]["epoch"]
    said = tuitrain("export", "validated", "--format", "weights", "--which", "best",
                    "--out", str(tmp_path / "best.pt")).stdout  # fmt: skip
    assert f"epoch {best}, the best" in said


def test_a_killed_script_is_listed_as_crashed_and_can_be_removed(tuitrain: Shell):
    assert tuitrain.show("killed")["state"] == "crashed"
    tuitrain("rm", "killed", "--yes")
    assert "killed" not in tuitrain("ls").stdout


async def test_keys_that_cannot_act_on_a_script_say_why(tuitrain: Shell):
    app = TuitrainApp(tuitrain.home, watch=tuitrain.client("validated").paths)
    async with app.run_test(size=(120, 40)) as pilot:
        await app.screen.follow()
        await pilot.press("e", "f")
        await pilot.pause()
        said = [notification.message for notification in app._notifications]
        assert said[0].startswith("The script decides how long it trains")
        assert "tuitrain watch" in said[1]
        await app.screen.follow()
        shown = text_of(app)
        assert "2 epochs, 6 steps" in shown
        assert "seed" not in shown


async def test_a_script_is_not_resumed_from_the_list(tuitrain: Shell):
    app = TuitrainApp(tuitrain.home)
    async with app.run_test(size=(140, 40)) as pilot:
        await app.screen.follow()
        await pilot.press("R")
        await pilot.pause()
        (said,) = app._notifications
        assert "a watched script is started again with: tuitrain watch" in said.message
