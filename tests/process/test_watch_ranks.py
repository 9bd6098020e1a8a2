"""A script that torchrun starts in two processes: one of them records, and none waits for it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PATIENCE_S, Shell, until
from tests.watching import SCRIPTS
from tuitrain import Refused, connect

LAUNCHER = [
    sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
    "-m", "tuitrain", "watch",
]  # fmt: skip
SCRIPT = str(SCRIPTS / "distributed.py")


def test_commands_that_the_other_process_would_not_follow_are_refused(
    tuitrain: Shell, tmp_path: Path
):
    command = [*LAUNCHER, "--name", "a", SCRIPT, str(tmp_path)]
    with subprocess.Popen(
        command, env=tuitrain.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        until((tuitrain.home / "runs" / "a" / "run.db").exists, "it records")
        run = connect("a", home=tuitrain.home)
        until(lambda: run.steps, "it trains")
        for command in (
            run.pause, run.step, run.undo, run.stop, run.checkpoint,
            lambda: run.set_lr(0.1), lambda: run.swap_loss("mse", at="batch"),
        ):  # fmt: skip
            with pytest.raises(Refused, match="one of 2 processes that train together"):
                command()
        (tmp_path / "enough").touch()
        said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, said
    first, second = (json.loads((tmp_path / f"report-{rank}").read_text()) for rank in (0, 1))
    assert first["weights"] == second["weights"]
    assert [row.loss for row in run.batches()] == first["losses"]
    assert run.state == "finished"
    assert [path.name for path in (tuitrain.home / "runs").iterdir()] == ["a"]
    assert tuitrain.show("a")["checkpoints"][-1]["step"] == len(first["losses"])


@pytest.mark.parametrize("option", ["--paused", "--detach", "--pace=1", "--loss=mse",
                                    "--on-nonfinite=skip"])  # fmt: skip
def test_options_that_the_others_would_not_follow_are_refused(
    tuitrain: Shell, monkeypatch: pytest.MonkeyPatch, option: str
):
    tuitrain.env |= {"WORLD_SIZE": "2", "RANK": "0"}
    said = tuitrain("watch", option, SCRIPT, code=2).stderr
    assert f"{option.partition('=')[0]} is for one process" in said
    assert not (tuitrain.home / "runs").exists()
