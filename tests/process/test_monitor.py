"""One quantity decides which epoch is the best: what is kept, shown and exported, and patience."""

import json
import math

import pytest

from tests.conftest import Shell
from tuitrain.connection.follower import snapshot
from tuitrain.view.panel import panels, vitals
from tuitrain.view.picture import plain
from tuitrain.view.state.metrics import monitored


def best_of(tuitrain: Shell, value) -> int:
    """Return the epoch with the least value, by the table of all epochs."""
    lines = (tuitrain.home / "a.jsonl").read_text().splitlines()
    epochs = [row for row in map(json.loads, lines) if row["kind"] == "epoch"]
    return min(epochs, key=value)["epoch"]


@pytest.mark.parametrize(
    ("named", "monitor", "column"),
    [("l1", "l1", "val_l1"), ("val_loss", "mse", "val_mse"), ("mae", "mae", "mae")],
)
def test_best_epoch_checkpoint_star_and_list_follow_the_monitor(
    threaded: Shell, named: str, monitor: str, column: str
):
    threaded("run", "diabetes", "--monitor", named, "--epochs", "30", "--lr", "0.03",
             "--name", "a", "--plain")  # fmt: skip
    threaded("export", "a", "--format", "jsonl", "--out", str(threaded.home / "a.jsonl"))
    epoch = best_of(threaded, lambda row: row[column])
    shown = threaded.show("a")

    assert epoch < 30
    assert shown["monitor"] == shown["best"]["metric"] == monitor
    assert shown["best"]["epoch"] == epoch
    assert [saved["epoch"] for saved in shown["checkpoints"] if saved["why"] == "best"] == [epoch]
    assert f"{monitor} " in threaded("ls").stdout
    assert f"(epoch {epoch})" in threaded("ls").stdout
    out = str(threaded.home / "best.pt")
    said = threaded("export", "a", "--format", "weights", "--which", "best", "--out", out).stdout
    assert f"epoch {epoch}" in said

    now = snapshot(threaded.client("a"))
    starred = [line for line in plain(panels.epochs(now, 80, 60)).splitlines() if "★" in line]
    assert [int(line.split()[0]) for line in starred] == [epoch]
    numbers = plain(vitals.vitals(now, 120))
    assert f" {monitor} " in numbers
    assert f"@{epoch}" in numbers
    assert math.isclose(monitored(now, now.best), shown["best"]["value"])


def test_patience_follows_a_monitored_loss(threaded: Shell):
    threaded("run", "diabetes", "--monitor", "val_loss", "--patience", "3", "--epochs", "200",
             "--lr", "0.03", "--name", "a", "--plain")  # fmt: skip
    shown = threaded.show("a")
    assert shown["state"] == "finished"
    assert shown["epoch"] == shown["best"]["epoch"] + 3
    assert "no better mse for 3 epochs" in threaded("show", "a").stdout


def test_the_validation_loss_stays_that_of_the_first_loss_after_a_swap(threaded: Shell):
    schedule = threaded.home / "a.toml"
    threaded.home.mkdir()
    schedule.write_text(
        'task = "diabetes"\nmonitor = "val_loss"\nepochs = 12\nlr = 0.03\n'
        '[[schedule]]\nstep = 18\nepoch = 3\nloss = "l1"\n'
    )
    threaded("run", "--config", str(schedule), "--name", "a", "--plain")
    threaded("export", "a", "--format", "jsonl", "--out", str(threaded.home / "a.jsonl"))
    assert threaded.show("a")["loss"] == "l1"
    assert threaded.show("a")["best"]["epoch"] == best_of(threaded, lambda row: row["val_mse"])


def test_an_unknown_monitor_is_said_with_the_nearest_and_leaves_nothing(threaded: Shell):
    said = threaded("run", "diabetes", "--monitor", "rsme", "--plain", code=2).stderr
    assert "no metric 'rsme'; did you mean 'rmse'?" in said
    assert not list((threaded.home / "runs").iterdir())
