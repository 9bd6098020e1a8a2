"""A newcomer's way: a textbook loop that goes wrong is understood, and mended, from elsewhere."""

import math

from tests.conftest import PROJECT, Shell, until

LOOP = PROJECT / "examples" / "loop.py"


def test_a_loop_that_diverges_is_mended_from_another_terminal(tuitrain: Shell):
    def ask(*words: str) -> None:
        tuitrain("ctl", "a", *words, "--wait")

    options = ("--detach", "--name", "a", "--pace", "200")
    tuitrain("watch", *options, str(LOOP), "--epochs", "100000")
    until(lambda: tuitrain.show("a")["step"] > 20, "it trains")
    ask("lr", "1e6")
    until(lambda: "diverging" in tuitrain("show", "a").stdout, "it is seen to diverge")
    (why,) = (line for line in tuitrain("show", "a").stdout.splitlines() if "diverging" in line)
    assert "lr" in why
    assert "tuitrain ctl a undo" in why

    ask("pause")
    ask("undo")
    assert (tuitrain.show("a")["state"], tuitrain.show("a")["lr"]) == ("paused", 0.1)
    ask("lr", "0.05")
    ask("loss", "mse", "--at", "batch")
    ask("step", "40")
    mended = tuitrain.show("a")
    assert (mended["loss"], mended["lr"]) == ("mse", 0.05)
    assert math.isfinite(tuitrain.client("a").record.batches(0, 1)[-1].loss)
    ask("undo")
    assert (tuitrain.show("a")["loss"], tuitrain.show("a")["lr"]) == ("cross-entropy", 0.05)
    ask("resume")
    step = tuitrain.show("a")["step"]
    until(lambda: tuitrain.show("a")["step"] > step, "it goes on")
    assert tuitrain.show("a")["val_loss"] is None or math.isfinite(tuitrain.show("a")["val_loss"])
    assert "diverging" not in tuitrain("show", "a").stdout
    ask("stop")
    assert tuitrain.ended("a")["state"] == "stopped"
