"""A loop in several processes, watched and steered: all do the same at the same step."""

import json
import re

import psutil
import pytest

from tests.conftest import Shell, until
from tests.versions import SHARDED
from tests.watching import SCRIPTS, Script, Scripts, Server, server  # noqa: F401 - a fixture
from tuitrain import Refused, Run
from tuitrain.core.events import NotFinite, Warned

SCRIPT = str(SCRIPTS / "distributed.py")


@pytest.fixture
def scripts(server: Server, tuitrain: Shell, tmp_path) -> Scripts:  # noqa: F811 - the fixture
    tuitrain.home.mkdir(exist_ok=True)
    return Scripts(server, tuitrain, tmp_path)


def waiting(scripts: Scripts, *arguments: str) -> tuple[Script, Run]:
    """Return the ranks of distributed.py, paused after their first step."""
    script = scripts.watch_ranks("a", *arguments, options=("--paused",))
    until((scripts.shell.home / "runs" / "a" / "run.db").exists, "it records")
    run = scripts.run_of("a")
    until(lambda: run.state == "paused", "it waits", lambda: script.log)
    return script, run


def of_kind(run: Run, kind: type) -> list:
    return [event for event in run.events(follow=False) if isinstance(event, kind)]


def test_ranks_train_to_the_same_weights_as_without_watching(scripts):
    alone = scripts.start_ranks("40")
    assert alone.ended() == 0, alone.log  # first: older ones of torchrun listen at the same port
    watched = scripts.watch_ranks("a", "40")
    assert watched.ended() == 0, watched.log
    assert watched.steps == alone.steps
    run = scripts.run_of("a")
    assert [row.loss for row in run.batches()] == [step["loss"] for step in watched.steps[0]]
    assert run.state == "finished"
    assert f"torchrun ... -m tuitrain watch {SCRIPT} " in scripts.shell("show", "a").stdout
    assert [path.name for path in (scripts.shell.home / "runs").iterdir()] == ["a"]


@SHARDED
def test_of_weights_in_parts_only_what_needs_them_whole_is_refused(scripts):
    script, run = waiting(scripts, "8", "sharded")
    for command in (run.undo, run.checkpoint, lambda: run.set_clip_norm(1.0)):
        with pytest.raises(Refused, match="each rank has a part of"):
            command()
    run.swap_loss("mse", at="batch")
    run.set_lr(1e-3)
    run.step(2)
    run.resume()
    assert script.ended() == 0, script.log
    swapped = [[step["is_swapped"] for step in steps] for steps in script.steps]
    assert swapped == [[False, *[True] * 7]] * 2
    assert not run.show()["checkpoints"]


def test_a_step_whose_gradients_are_nan_on_all_ranks_is_left_out_by_all(scripts):
    options = ("--on-nonfinite", "pause")
    script = scripts.watch_ranks("a", "100", "nonfinite", options=options)
    until((scripts.shell.home / "runs" / "a" / "run.db").exists, "it records")
    run = scripts.run_of("a")
    until(lambda: run.state == "paused", "it waits", lambda: script.log)
    run.resume()
    assert script.ended() == 0, script.log
    weights = [[step["weights"] for step in steps] for steps in script.steps]
    assert weights[0] == weights[1]
    assert weights[0][3] == weights[0][2]
    assert [event.what for event in of_kind(run, NotFinite)] == ["gradient"]


def test_a_rank_that_ends_earlier_lets_the_others_go_on_without_being_steered(scripts):
    script = scripts.watch_ranks("a", "600", "apart")
    assert script.ended() == 0, script.log
    run = scripts.run_of("a")
    assert (run.state, run.steps) == ("finished", 600)
    (warning,) = of_kind(run, Warned)
    assert "no command is carried out" in warning.text


def test_nproc_starts_the_ranks_and_they_stop_where_they_wait(scripts, tuitrain, tmp_path):
    tuitrain("watch", "--detach", "--paused", "--nproc", "2", "--name", "a", SCRIPT,
             str(tmp_path / "report"), "100000")  # fmt: skip
    run = scripts.run_of("a")
    until(lambda: run.state == "paused", "it waits")
    run.step(2)
    run.stop()
    assert run.state == "stopped"
    assert f"  tuitrain watch --nproc 2 {SCRIPT} " in tuitrain("show", "a").stdout
    reports = [(tmp_path / f"report-{rank}").read_text().splitlines() for rank in (0, 1)]
    assert [len(report) for report in reports] == [2, 2], "a stop ends the script within its step"


def test_ranks_end_with_a_launcher_that_is_killed(scripts, tuitrain, tmp_path):
    tuitrain("watch", "--detach", "--paused", "--nproc", "2", "--name", "a", SCRIPT,
             str(tmp_path / "report"), "100000")  # fmt: skip
    run = scripts.run_of("a")
    until(lambda: run.state == "paused", "it waits")
    launcher = psutil.Process(json.loads((run.directory / "owner.json").read_text())["pid"])
    ranks = launcher.children()
    assert len(ranks) == 2
    launcher.kill()
    _, alive = psutil.wait_procs(ranks, timeout=10)
    assert not alive
    assert run.state == "crashed"


def test_a_rank_that_fails_ends_the_others_and_is_named(tuitrain, tmp_path):
    said = tuitrain("watch", "--plain", "--nproc", "2", "--name", "a", SCRIPT,
                    str(tmp_path / "report"), "2000", "failing", code=1)  # fmt: skip
    assert "ValueError: no more data" in said.stderr
    shown = tuitrain.show("a")
    assert shown["state"] == "failed"
    assert re.fullmatch(r"rank 1 on .+ failed: ValueError: no more data", shown["error"])


@pytest.mark.parametrize("option", ["--detach", "--nproc=2"])
def test_torchrun_has_started_the_processes_already(
    tuitrain: Shell, monkeypatch: pytest.MonkeyPatch, option: str
):
    tuitrain.env |= {"WORLD_SIZE": "2", "RANK": "0"}
    said = tuitrain("watch", option, SCRIPT, code=2).stderr
    assert f"{option.partition('=')[0]} " in said
    assert not (tuitrain.home / "runs").exists()
