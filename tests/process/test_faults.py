"""Kills at random moments: nothing acknowledged is lost, and every resumption is exact.

`make faults COUNT=100` kills a hundred times; without it a few have to do.
"""

import os
import random
import sqlite3
from itertools import cycle

from tests.conftest import Shell, until
from tuitrain.connection.client import Client
from tuitrain.core.commands import Change, SaveCheckpoint, SwapLoss
from tuitrain.core.events import CommandAccepted, CommandRefused
from tuitrain.store.delta import Cursor
from tuitrain.trainer import supervisor

COUNT = max(1, int(os.environ.get("FAULTS", "2")) // 2)
"""Kills in each of the two tests."""
SEED = int(os.environ.get("FAULTS_SEED", "1"))


def begun(tuitrain: Shell, name: str, epochs: int) -> Client:
    run = tuitrain.start(name, "--seed", "5", "--epochs", str(epochs), "--paused")
    tuitrain("ctl", name, "step", "40")
    tuitrain("ctl", name, "lr", "0.003", "--wait")
    tuitrain("ctl", name, "loss", "mse")
    return run


def written(run: Client) -> tuple[int, int]:
    """Check the integrity of the record; return its numbers of batches and events."""
    record = sqlite3.connect(f"file:{run.paths.record}?mode=ro", uri=True)
    try:
        assert record.execute("pragma integrity_check").fetchone() == ("ok",)
        return (
            record.execute("select count(*) from batch").fetchone()[0],
            record.execute("select count(*) from event").fetchone()[0],
        )
    finally:
        record.close()


def test_a_run_that_is_killed_again_and_again_ends_as_an_undisturbed_one(tuitrain: Shell):
    draw = random.Random(SEED)
    epochs = 8 + 3 * COUNT
    run = begun(tuitrain, "killed", epochs)
    tuitrain("ctl", "killed", "pace", "300")
    tuitrain("ctl", "killed", "resume")
    for _ in range(COUNT):
        before = written(run)
        step = tuitrain.show("killed")["step"] + draw.choice([0, 0, 5, 20, 60])
        until(
            lambda step=step: (
                tuitrain.show("killed")["step"] >= step or not run.look(run.record.end()).alive
            ),
            f"step {step} is trained",
        )
        until(run.paths.owner.exists, "its trainer has signed")
        supervisor.kill(run.paths)
        until(lambda: not run.look(run.record.end()).alive, "it has gone")
        assert written(run) >= before, "what was on record still is"
        shown = tuitrain.show("killed")
        assert shown["state"] in ("crashed", "finished")
        assert shown["interventions"][1]["state"] == "applied"
        if shown["state"] == "crashed":
            tuitrain("resume", "killed", "--detach")
    tuitrain("ctl", "killed", "pace", "off", code=None)
    until(lambda: not run.look(run.record.end()).alive, "it is trained")

    calm = begun(tuitrain, "calm", epochs)
    tuitrain("ctl", "calm", "resume")
    until(lambda: not calm.look(calm.record.end()).alive, "it is trained")
    one, other = tuitrain.show("killed"), tuitrain.show("calm")
    assert (one["state"], one["step"]) == ("finished", other["step"])
    assert one["weights_sha256"] == other["weights_sha256"]


def test_commands_between_kills_are_kept_and_a_replay_comes_to_the_same_weights(tuitrain: Shell):
    draw = random.Random(SEED + 1)
    run = begun(tuitrain, "killed", 8 + 3 * COUNT)
    tuitrain("ctl", "killed", "pace", "20")  # its end is far, however slow this machine
    tuitrain("ctl", "killed", "resume")
    losses = cycle(["l1", "cross-entropy", "mse"])
    acknowledged: list[str] = []
    for _ in range(COUNT):
        for _ in range(draw.randrange(1, 4)):
            command = draw.choice(
                [SwapLoss(next(losses)), Change("lr", draw.choice([0.002, 0.004]))]
            )
            asked = run.send(draw.choice([command, SaveCheckpoint()]), "batch")
            until(
                lambda asked=asked: (
                    asked.id in answered(run) or not run.look(run.record.end()).alive
                ),
                "it is answered",
            )
            acknowledged += {asked.id} & accepted(run)
        supervisor.kill(run.paths)
        until(lambda: not run.look(run.record.end()).alive, "it has gone")
        written(run)
        if tuitrain.show("killed")["state"] == "crashed":
            tuitrain("resume", "killed", "--detach")
            until(run.paths.owner.exists, "its trainer has signed")
    tuitrain("ctl", "killed", "pace", "off", code=None)
    until(lambda: not run.look(run.record.end()).alive, "it is trained")

    killed = tuitrain.show("killed")
    assert killed["state"] == "finished"
    found = {intervention["id"]: intervention["state"] for intervention in killed["interventions"]}
    assert {found.get(item) for item in acknowledged} <= {"applied"}
    output = tuitrain("replay", "killed", "--plain").stdout
    assert "the same weights as killed, to the last bit" in output


def accepted(run: Client) -> set[str]:
    return answered(run, CommandAccepted)


def answered(run: Client, *ways: type) -> set[str]:
    """Return the commands that were accepted or refused: a loss that is in use already is."""
    events = [event.event for event in run.look(Cursor()).delta.events]
    return {
        event.command
        for event in events
        if isinstance(event, ways or (CommandAccepted, CommandRefused))
    }
