"""Integer runs through the real command line, in processes of their own."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PACED, Shell, until

TRAIN = ("run", "digits", "--plain", "--seed", "1")


def test_a_plain_run_trains_and_repeats_bit_for_bit(tuitrain: Shell):
    first = tuitrain.anew(
        *TRAIN, "--epochs", "2", "--name", "a", "--log-interval", "10", "--pace", "300"
    ).stdout
    tuitrain.trained("b")

    lines = first.splitlines()
    assert all(lines), "none is empty, however long it waits"
    batches = [line for line in lines if line.startswith("Epoch:")]
    assert [line.partition("]")[0] for line in batches] == [
        f"Epoch: {epoch}/2 [{seen}"
        for epoch in (1, 2)
        for seen in ("0/1437 (0%)", "640/1437 (45%)", "1280/1437 (89%)")
    ]
    assert all(re.fullmatch(r".+\]  Loss: \d\.\d{6}", line) for line in batches)
    assert any(line.startswith("epoch 2/2  train loss") and "accuracy" in line for line in lines)
    digests = [tuitrain.show(name)["weights_sha256"] for name in "ab"]
    assert digests[0] == digests[1], "whatever the pace"
    assert digests[0] in lines[-1]


def test_the_first_epoch_of_a_fork_is_counted_from_where_it_begins(threaded: Shell):
    halved = ("--precision", "bf16")
    said = threaded("run", "digits", "--epochs", "2", *halved, "--plain", "--name", "a").stdout
    assert "batch 64, bf16, seed 0" in said, "what is not the default is in the heading"
    assert re.findall(r"^Epoch: .+\]", said, re.MULTILINE) == [
        f"Epoch: {epoch}/2 [0/1437 (0%)]" for epoch in (1, 2)
    ], "the first batch of an epoch has a line, however short the epoch is"
    said = threaded("fork", "a", "--epoch", "2", "--epochs", "3", "--plain", "--log-interval", "20")
    lines = [line for line in said.stdout.splitlines() if line.startswith("Epoch:")]
    assert [line.partition("]")[0] for line in lines] == [
        "Epoch: 3/3 [0/1437 (0%)",
        "Epoch: 3/3 [1280/1437 (89%)",
    ]


def test_a_warning_of_an_epoch_is_printed_after_it(threaded: Shell):
    skips = ("--lr", "1e30", "--epochs", "4", "--on-nonfinite", "skip")
    said = threaded("run", "digits", *skips, "--plain", "--name", "a").stdout

    places = [said.index(text) for text in ("epoch 2/4", "epoch 2: 23 of 23", "epoch 3/4",
                                            "epoch 3: 23 of 23", "epoch 4/4")]  # fmt: skip
    assert places == sorted(places)


def test_what_show_says_of_a_finished_run_is_complete(tuitrain: Shell):
    tuitrain.trained("a")

    shown = tuitrain.show("a")
    assert (shown["state"], shown["epoch"], shown["step"]) == ("finished", 2, 46)
    assert shown["pid"] is None
    assert shown["metrics"]["accuracy"] > 0.8
    assert shown["best"]["metric"] == "accuracy"
    saved = [(checkpoint["why"], checkpoint["step"]) for checkpoint in shown["checkpoints"]]
    assert (saved[0], saved[-1]) == (("start", 0), ("best", 46)), "the last epoch was the best"
    listed = json.loads(tuitrain("ls", "--json").stdout)
    assert listed == [
        {
            key: value
            for key, value in shown.items()
            if key not in ("interventions", "checkpoints", "warnings", "data_notes")
        }
    ]


def test_a_run_is_steered_from_a_shell_and_every_answer_is_true(tuitrain: Shell):
    run = tuitrain.start("a", *PACED)
    per_epoch = tuitrain.show("a")["steps_per_epoch"]

    tuitrain("ctl", "a", "pause", "--at", "epoch")
    until(lambda: tuitrain.show("a")["state"] == "paused", "it is paused")
    paused = tuitrain.show("a")
    assert paused["step"] == paused["epoch"] * per_epoch > 0
    swapped = json.loads(tuitrain("ctl", "a", "loss", "mse", "--json", "--wait").stdout)
    assert (swapped["state"], swapped["step"]) == ("applied", paused["step"])
    assert tuitrain.show("a")["step"] == paused["step"], "a pause holds"

    stepped = json.loads(tuitrain("ctl", "a", "step", "3", "--json").stdout)
    assert stepped["step"] == paused["step"] + 3
    until(lambda: tuitrain.show("a")["state"] == "paused", "it is paused again")
    undone = tuitrain("ctl", "a", "undo", "--wait").stdout
    assert undone.startswith("undo of: loss cross-entropy → mse after step")
    assert tuitrain("ctl", "a", "undo", "--wait").stdout.startswith("undo of: undo: take 2")
    tuitrain("ctl", "a", "resume")
    tuitrain("ctl", "a", "pace", "50")
    tuitrain("ctl", "a", "stop")

    until(lambda: not run.look(run.record.end()).alive, "its trainer has gone")
    shown = tuitrain.show("a")
    assert (shown["state"], shown["loss"], shown["pace"]) == ("stopped", "mse", 50)
    assert [
        (intervention["kind"], intervention["state"]) for intervention in shown["interventions"]
    ] == [
        *((kind, "applied") for kind in ("pause", "loss", "step")),
        ("undo", "undone"),
        *((kind, "applied") for kind in ("undo", "resume", "pace", "stop")),
    ]
    assert all(intervention["step"] is not None for intervention in shown["interventions"])
    assert shown["checkpoints"][-1]["step"] == shown["step"]


def test_a_command_for_a_run_that_has_ended_is_refused_and_leaves_nothing(tuitrain: Shell):
    tuitrain.trained("a")

    said = tuitrain("ctl", "a", "pause", code=3).stderr
    assert "a is finished" in said
    assert list(tuitrain.client("a").paths.inbox.iterdir()) == []


def test_a_trainer_killed_at_once_reads_as_crashed_and_is_told_to_a_command(
    tuitrain: Shell, tmp_path: Path
):
    script, said = tmp_path / "tell.py", tmp_path / "news"
    script.write_text(f"import sys; open({str(said)!r}, 'w').write(sys.argv[1])")
    tuitrain.start("a", *PACED, "--notify", f"{sys.executable} {script}")
    pid = tuitrain.show("a")["pid"]
    step = tuitrain.show("a")["step"]

    os.kill(pid, signal.SIGKILL)

    until(lambda: tuitrain.show("a")["state"] == "crashed", "it reads as crashed")
    shown = tuitrain.show("a")
    assert shown["pid"] is None
    assert shown["step"] >= step, "what was recorded stays"
    assert "tuitrain resume a goes on from its last checkpoint" in tuitrain("show", "a").stdout
    news = until(lambda: said.exists() and said.read_text(), "the command is told")
    assert news.startswith(f"tuitrain: a crashed at step {shown['step']:,}: the trainer process")
    tuitrain("ctl", "a", "resume", code=3)


def test_sigterm_ends_a_trainer_truthfully_with_a_checkpoint(tuitrain: Shell):
    tuitrain.start("a", *PACED)

    os.kill(tuitrain.show("a")["pid"], signal.SIGTERM)

    until(lambda: tuitrain.show("a")["state"] == "stopped", "it has stopped")
    shown = tuitrain.show("a")
    assert shown["interventions"][-1]["detail"] == "SIGTERM"
    assert shown["checkpoints"][-1]["step"] == shown["step"]


def owner(tuitrain: Shell, name: str) -> subprocess.Popen[str]:
    """Start `run --plain`, which owns its run, and wait until it trains."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tuitrain", *TRAIN, *PACED, "--name", name],
        env=tuitrain.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until((tuitrain.home / "runs" / name / "spec.json").exists, "the run is there")
    until(lambda: tuitrain.show(name)["step"] > 0, "it trains")
    return process


def test_a_plain_run_ends_with_the_process_that_owns_it(tuitrain: Shell):
    process = owner(tuitrain, "a")

    process.kill()
    process.communicate()

    until(lambda: tuitrain.show("a")["state"] == "stopped", "it has stopped")
    assert tuitrain.show("a")["checkpoints"]


def test_the_first_ctrl_c_saves_a_checkpoint_and_exits_130(tuitrain: Shell):
    process = owner(tuitrain, "a")

    process.send_signal(signal.SIGINT)
    _, said = process.communicate()

    assert process.returncode == 130
    assert "Ctrl-C again" in said
    shown = tuitrain.show("a")
    assert shown["state"] == "stopped"
    assert shown["checkpoints"][-1]["step"] == shown["step"]


def test_the_second_ctrl_c_ends_a_trainer_that_does_not_answer_and_says_how_to_go_on(
    tuitrain: Shell,
):
    process = owner(tuitrain, "a")
    os.kill(int(tuitrain.show("a")["pid"]), signal.SIGSTOP)

    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert any("Ctrl-C again" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()

    assert process.returncode == 130
    assert "ended at once, as asked; tuitrain resume a goes on from its last checkpoint" in said
    assert "unexpectedly" not in said


def test_a_detached_run_outlives_its_terminal_and_attach_prints_all_its_events(
    tuitrain: Shell,
):
    tuitrain.anew("run", "digits", "--detach", "--name", "a", "--epochs", "5000", "--paused")
    until(lambda: tuitrain.show("a")["state"] == "paused", "it waits")
    tuitrain("ctl", "a", "step", "30")
    attached = subprocess.Popen(
        [sys.executable, "-m", "tuitrain", "attach", "a"],
        env=tuitrain.env, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    tuitrain("ctl", "a", "stop")
    output, _ = attached.communicate()

    assert attached.returncode == 0
    assert "epoch     1/5,000  train loss" in output
    assert "paused at step 30" in output
    assert "stopped: epoch 1 of 5,000, step 30" in output


@pytest.mark.parametrize("way", ["--plain", "--detach"])
def test_a_failing_trainer_says_why_in_one_line(tuitrain: Shell, way: str):
    done = tuitrain("run", "digits", way, "--device", "cuda:77", "--name", "a", code=3)

    assert "no device cuda:77 here; there is: " in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert list((tuitrain.home / "runs").iterdir()) == [], "it never came to life"


def test_wrong_use_is_reported_in_at_most_two_lines_and_leaves_no_files(tuitrain: Shell):
    for arguments, code, hint in [
        (["runn"], 2, "did you mean 'run'?"),
        (["run", "digts"], 2, "did you mean 'digits'?"),
        (["run", "--loss", "ms"], 2, "did you mean 'mse'?"),
        (["run", "--model", "mlp:hiden=3"], 2, "did you mean 'hidden'?"),
        (["run", "--lr", "-1"], 2, "lr"),
        (["run", "--lr", "nan"], 2, "lr"),
        (["run", "--epochs", "0"], 2, "epochs"),
        (["run", "--epochs", "ten"], 2, "ten"),
        (["run", "--name", "../a"], 2, "name"),
        (["run", "--pace", "0"], 2, "pace"),
        (["run", "--plain", "--detach"], 2, "choose one"),
        (["show", "nothing"], 3, "no run nothing"),
        (["attach"], 3, "tuitrain run"),
        (["ctl", "nothing", "pause"], 3, "tuitrain ls"),
        ([], 2, "needs a terminal"),
    ]:
        done = tuitrain.here(*arguments, code=code)
        assert hint in done.stderr, arguments
        assert len(done.stderr.splitlines()) <= 2, done.stderr
        assert "Traceback" not in done.stderr
    assert not list((tuitrain.home / "runs").glob("*"))


def test_a_taken_name_is_refused_and_the_run_that_has_it_unharmed(tuitrain: Shell):
    tuitrain.trained("a")
    before = tuitrain.show("a")

    assert "choose another --name" in tuitrain(*TRAIN, "--name", "a", code=3).stderr
    assert tuitrain.show("a") == before


def test_a_home_that_cannot_be_made_is_one_sentence_and_exit_1(tuitrain: Shell):
    tuitrain.home.write_text("a file is in the way")

    done = tuitrain("run", "digits", "--plain", code=1)
    assert "choose another place with --home" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_run_directory_is_its_owners_alone(tuitrain: Shell):
    tuitrain.trained("a")

    paths = tuitrain.client("a").paths
    assert all(path.stat().st_mode & 0o077 == 0 for path in paths.directory.rglob("*"))
    assert paths.directory.stat().st_mode & 0o777 == 0o700


def test_no_collection_of_a_trainer_looks_through_what_pytorch_made(tuitrain: Shell, tmp_path):
    task = tmp_path / "task.py"
    task.write_text("""
import gc, sys, torch, tuitrain
made = {id(module) for name, module in sys.modules.items() if name.startswith("torch")}
print("looked through:", len(made & {id(one) for one in gc.get_objects()}), gc.isenabled())
x = torch.eye(2).repeat(50, 1)
task = tuitrain.Task(kind="multiclass", classes=["a", "b"], train=lambda: (x, x[:, 0].long()),
                     model=lambda: torch.nn.Linear(2, 2))
""")
    tuitrain.anew("run", str(task), "--plain", "--epochs", "1", "--name", "a")
    assert "looked through: 0 True" in tuitrain("logs", "a").stdout
