"""Exports of runs, read back or executed without tuitrain."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from tests.conftest import PATIENCE_S, Shell, until
from tests.recorded import STEPS, in_home
from tuitrain.core.events import CheckpointSaved
from tuitrain.engine.state.weights import state_sha256


@pytest.fixture
def tuitrain(threaded: Shell) -> Shell:
    """No test here needs a trainer in a process of its own."""
    return threaded


def steered(
    tuitrain: Shell, name: str, *commands: tuple[str, ...], options: tuple[str, ...]
) -> dict:
    """Start a paused run, send it these commands, and return it when it has ended."""
    tuitrain("run", *options, "--detach", "--name", name, "--paused")
    until(lambda: tuitrain.show(name)["state"] == "paused", f"{name} waits")
    for command in commands:
        tuitrain("ctl", name, *command)
    return tuitrain.ended(name)


def digest_of_program(tuitrain: Shell, name: str, folder: Path) -> str:
    """Export the program of a run, run it alone, and return the last line that it prints."""
    written(tuitrain, name, folder)
    done = tuitrain.python("train.py", folder=folder)
    return done.stdout.splitlines()[-1]


def written(tuitrain: Shell, name: str, folder: Path) -> None:
    """Export the program of a run."""
    folder.mkdir()
    tuitrain("export", name, "--format", "script", "--out", str(folder / "train.py"))
    text = (folder / "train.py").read_text()
    assert "tuitrain" not in text.partition("\n\n")[2], "it is not needed"


def test_a_program_needs_nothing_but_python_and_pytorch(tuitrain: Shell, tmp_path):
    tuitrain.trained("a")
    written(tuitrain, "a", tmp_path / "a")
    alone = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "train.py"],
        cwd=tmp_path / "a", env=alone, capture_output=True, text=True, timeout=PATIENCE_S,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == tuitrain.show("a")["weights_sha256"]


def test_a_program_trains_as_the_run_did_with_all_that_was_changed(tuitrain: Shell, tmp_path):
    run = steered(
        tuitrain, "a",
        ("step", "10"), ("lr", "0.003"), ("step", "20"), ("loss", "mse", "--at", "batch"),
        ("step", "5"), ("undo",), ("loss", "l1"), ("batch-size", "128"), ("clip-norm", "0.5"),
        ("weight-decay", "0.01"), ("epochs", "5"), ("resume",),
        options=("digits", "--epochs", "4"),
    )  # fmt: skip
    assert digest_of_program(tuitrain, "a", tmp_path / "whole") == run["weights_sha256"]

    tuitrain("fork", "a", "--epoch", "0", "--loss", "l1", "--epochs", "2", "--plain")
    fork = digest_of_program(tuitrain, "a-fork", tmp_path / "fork")
    assert fork == tuitrain.show("a-fork")["weights_sha256"]
    program = (tmp_path / "whole" / "train.py").read_text()
    assert len(program.splitlines()) <= 175
    assert "mse" not in program, "what was undone is no part of it"


@pytest.mark.parametrize(
    ("options", "commands"),
    [
        (
            ("digits", "--epochs", "3", "--optimizer", "adamw:schedule=cosine",
             "--model", "mlp:hidden=32,norm=batch,dropout=0.2"),
            [("step", "30"), ("lr", "0.01"), ("epochs", "4"), ("resume",)],
        ),
        (
            ("diabetes", "--optimizer", "sgd:momentum=0.9,schedule=linear", "--lr", "0.01"),
            [("step", "20"), ("loss", "l1", "--at", "batch"), ("step", "3"), ("stop",)],
        ),
    ],
    ids=["digits", "diabetes"],
)  # fmt: skip
def test_a_program_has_the_parameters_of_model_optimizer_and_loss(
    tuitrain: Shell, tmp_path: Path, options: tuple[str, ...], commands: list[tuple[str, ...]]
):
    run = steered(tuitrain, "a", *commands, options=options)
    assert digest_of_program(tuitrain, "a", tmp_path / "a") == run["weights_sha256"]


def test_a_program_follows_the_schedules_that_were_begun(tuitrain: Shell, tmp_path: Path):
    tuitrain("run", "digits", "--optimizer", "adam:schedule=cosine", "--epochs", "2", "--plain",
             "--name", "a")  # fmt: skip
    for epochs, name in ((3, "linear"), (4, "cosine"), (5, "constant")):
        tuitrain("resume", "a", "--epochs", str(epochs), "--schedule", name, "--plain")
    assert digest_of_program(tuitrain, "a", tmp_path / "a") == tuitrain.show("a")["weights_sha256"]
    assert "schedule, schedule_begin = cosine_schedule, 3" in (tmp_path / "a/train.py").read_text()

    tuitrain("resume", "a", "--epochs", "7", "--schedule", "linear", "--plain")
    tuitrain("fork", "a", "--epoch", "7", "--epochs", "9", "--plain")
    fork = digest_of_program(tuitrain, "a-fork", tmp_path / "fork")
    assert fork == tuitrain.show("a-fork")["weights_sha256"]


def test_weights_load_with_plain_torch_and_tables_with_plain_python(
    tuitrain: Shell, tmp_path: Path
):
    tuitrain("run", "digits", "--model", "linear", "--epochs", "2", "--plain", "--name", "a")
    run = tuitrain.show("a")
    out = tmp_path / "last.pt"
    tuitrain("export", "a", "--format", "weights", "--out", str(out))
    weights = torch.load(out, weights_only=True)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    model.load_state_dict(weights)
    assert state_sha256(weights) == run["weights_sha256"]

    again = tuitrain("export", "a", "--format", "weights", "--out", str(out), code=3)
    assert "is there already; choose another --out" in again.stderr
    tuitrain("export", "a", "--format", "wights", code=2)
    assert "--which" in tuitrain("export", "a", "--format", "csv", "--which", "best", code=2).stderr

    lines = tmp_path / "a.jsonl"
    tuitrain("export", "a", "--format", "jsonl", "--out", str(lines))
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [row["step"] for row in rows if row["kind"] == "batch"] == list(range(1, 47))
    assert [row["accuracy"] for row in rows if row["kind"] == "epoch"][-1] == (
        run["metrics"]["accuracy"]
    )
    assert {row["kind"] for row in rows} == {"run", "batch", "series", "epoch"}
    assert rows[0]["problem"]["kind"] == "multiclass"


def test_the_best_weights_are_as_good_as_the_record_says(tuitrain: Shell, tmp_path: Path):
    run = steered(
        tuitrain, "a", ("step", "23"), ("loss", "mse"), ("lr", "100"), ("resume",),
        options=("digits", "--model", "linear", "--lr", "0.01", "--epochs", "2"),
    )  # fmt: skip
    assert run["best"]["epoch"] == 1
    said = tuitrain("export", "a", "--format", "weights", "--which", "best",
                    "--out", str(tmp_path / "best.pt"))  # fmt: skip
    tuitrain("export", "a", "--format", "weights", "--out", str(tmp_path / "last.pt"))

    assert "step 23, epoch 1" in said.stdout
    assert accuracy_of(tmp_path / "best.pt") == pytest.approx(run["best"]["value"])
    assert accuracy_of(tmp_path / "last.pt") == pytest.approx(run["metrics"]["accuracy"])
    assert run["metrics"]["accuracy"] < run["best"]["value"]


def accuracy_of(file: Path) -> float:
    """Return the validation accuracy on digits of a linear model with these weights."""
    images, labels = load_digits(return_X_y=True)
    train, val, _, known = train_test_split(
        images, labels, test_size=0.2, random_state=0, stratify=labels
    )
    mean, deviation = torch.from_numpy(train).mean(), torch.from_numpy(train).std()
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    model.load_state_dict(torch.load(file, weights_only=True))
    found = model(((torch.from_numpy(val) - mean) / deviation).float()).argmax(dim=1)
    return (found == torch.from_numpy(known)).float().mean().item()


def test_a_best_epoch_without_a_checkpoint_is_refused_with_what_there_is(
    tuitrain: Shell, home: Path
):
    run = in_home(home, "a")
    run.trains(1)
    without = tuitrain("export", "a", "--format", "weights", "--which", "best", code=3).stderr
    assert "no checkpoint yet; tuitrain ctl a checkpoint saves one" in without

    run.records(
        CheckpointSaved(1, STEPS, 1, "epoch", "00001-take1-step23.pt", 9, "f" * 64, "w" * 64)
    )
    run.trains(1)
    run.finishes()
    refused = tuitrain("export", "a", "--format", "weights", "--which", "best", code=3).stderr
    assert "the best epoch, 2, has no checkpoint" in refused
    assert "--which last takes the last checkpoint" in refused


def test_an_export_is_written_to_the_path_given(tuitrain: Shell, home: Path, tmp_path: Path):
    run = in_home(home, "a")
    run.trains(2)
    run.finishes()
    for form, out in (("csv", "tables"), ("csv", "a.csv"), ("tensorboard", "board")):
        said = tuitrain("export", "a", "--format", form, "--out", str(tmp_path / out)).stdout
        assert said.startswith(f"wrote {tmp_path / out}")

    assert {path.name for path in (tmp_path / "tables").iterdir()} == {
        "batches.csv", "epochs.csv", "interventions.csv", "series.csv"
    }  # fmt: skip
    alone = (tmp_path / "a.csv").read_text()
    assert alone == (tmp_path / "tables" / "batches.csv").read_text()
    assert len(alone.splitlines()) == 1 + 2 * STEPS
    assert [path.name[:19] for path in (tmp_path / "board").iterdir()] == ["events.out.tfevents"]
