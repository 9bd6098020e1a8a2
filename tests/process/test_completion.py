"""What Tab offers in a real bash."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import PATIENCE_S, Shell
from tuitrain.store.paths import RunPaths

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash here")

PROGRAM = """
eval "$SOURCE"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_tuitrain_completion "$PROGRAM"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def tuitrain(threaded: Shell) -> Shell:
    return threaded


@pytest.fixture
def offered(tuitrain: Shell, tmp_path: Path):
    """Return the completions of a command line whose last word is incomplete."""
    program = tmp_path / "tuitrain"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tuitrain "$@"\n')
    program.chmod(0o700)
    source = subprocess.run(
        [program], env=tuitrain.env | {"_TUITRAIN_COMPLETE": "bash_source"},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    tuitrain.env |= {"PROGRAM": str(program), "SOURCE": source}

    def press_tab(*line: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", PROGRAM, "bash", "tuitrain", *line],
            capture_output=True, text=True, env=tuitrain.env, timeout=PATIENCE_S, check=True,
        )  # fmt: skip
        assert done.stderr == ""
        return done.stdout.split()

    return press_tab


def test_names_of_commands_and_of_the_catalogue_are_offered(offered):
    assert offered("r") == ["run", "resume", "replay", "rm"]
    assert offered("run", "di") == ["digits", "diabetes"]
    assert offered("run", "--loss", "bce") == ["bce-with-logits"]
    assert offered("run", "--model", "cn") == ["cnn"]
    assert "convnext_tiny" in offered("run", "--model", "c")
    assert offered("run", "--optimizer", "sg") == ["sgd"]
    assert offered("run", "--device", "c") == ["cpu", "cuda"]
    assert offered("run", "--on-nonfinite", "s") == ["stop", "skip"]
    assert offered("losses", "ms") == ["mse"]
    assert offered("ctl", "a", "loss", "ms") == ["mse"]
    assert offered("w") == ["watch"]
    assert offered("watch", "--loss", "bce") == ["bce-with-logits"]
    assert offered("watch", "--kind", "b") == ["binary"]


def test_runs_are_offered_where_they_make_sense(offered, tuitrain: Shell, tmp_path: Path):
    tuitrain.start("going", "--paused")
    tuitrain.trained("done")

    assert offered("show", "") == ["done", "going"]
    assert offered("attach", "g") == ["going"]
    assert offered("ctl", "") == ["going"]
    assert offered("resume", "") == offered("rm", "") == ["done"]
    assert offered("run", "--init-from", "d") == ["done"]
    script = RunPaths(tuitrain.home / "runs" / "script")
    script.directory.mkdir()
    spec = tuitrain.client("done").paths.read_spec()
    script.write_spec(replace(spec, watched=("train.py",)))
    assert sorted(offered("rm", "")) == ["done", "script"]
    assert offered("resume", "") == ["done"], "only its script can train that one again"
    assert offered("--home", str(tmp_path / "other"), "show", "") == []
    assert offered("show", "--home", str(tmp_path / "other"), "") == []
