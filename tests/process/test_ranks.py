"""Several ranks on this machine train a run together: real launchers, ranks and signals."""

import json
import math
import re
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from tests.conftest import PACED, Shell, until
from tests.watching import free_port
from tuitrain import connect
from tuitrain.catalog import new_spec
from tuitrain.connection.run import Run
from tuitrain.core.events import Warned, WeightsCompared
from tuitrain.store.paths import RunPaths
from tuitrain.worker.agent import LAUNCHER, local_count

NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        self.unused = nn.Linear(3, 3)

    def forward(self, images):
        return self.layers(images)


def mild(outputs, targets):
    return nn.functional.cross_entropy(outputs, targets, label_smoothing=0.1)
"""
NOTES = """
from pathlib import Path

import torch
from torch import distributed, nn
from torch.distributed.distributed_c10d import _world


class Net(nn.Sequential):
    "Notes before each batch what the ranks' own group and the other ones have been asked for."

    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, images):
        if self.training and torch.is_grad_enabled() and distributed.is_initialized():
            asked = [group._get_sequence_number_for_group() for group in _world.pg_map]
            with Path(__file__).with_name(f"asked-{distributed.get_rank()}").open("a") as notes:
                print(*asked, file=notes)
        return super().forward(images)
"""
FAILS = """
import os

from torch import nn


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 10))
        self.calls = 0

    def forward(self, images):
        self.calls += self.training
        if self.calls == 30 and os.environ.get("RANK") == "1":
            raise ValueError("planted")
        return super().forward(images)
"""
ONE_SAMPLE_OVERFLOWS = """
import torch
import tuitrain
from torch import nn

inputs = torch.randn(256, 4, generator=torch.Generator().manual_seed(0))
targets = (inputs[:, 0] > 0).float()
planted = inputs.clone()
planted[5] = torch.inf
task = tuitrain.Task(
    kind="binary",
    train=lambda: torch.utils.data.TensorDataset(planted[:192], targets[:192]),
    val=lambda: torch.utils.data.TensorDataset(inputs[192:], targets[192:]),
    model=lambda: nn.Sequential(nn.Linear(4, 1), nn.Flatten(0)),
)
"""
KEEPS = """
import torch
from torch import nn


class Relative(nn.Module):
    "The loss beside its running mean, which is that of the rank's own batches."

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.ones(()))

    def forward(self, outputs, targets):
        loss = nn.functional.cross_entropy(outputs, targets)
        if self.training and torch.is_grad_enabled():
            self.mean.mul_(0.9).add_(loss.detach(), alpha=0.1)
        return loss / self.mean
"""
TAKES_NO_MESSAGE = """
"The first of two ranks sends to one that does not listen."
import os, signal, sys
from datetime import timedelta
from multiprocessing import get_context

from tuitrain.engine.ranks import group, messages
from tuitrain.worker.failure import is_of_another_rank

messages._SENDS_WITHIN = timedelta(seconds=1)


def rank(number):
    os.environ.update(
        RANK=str(number), WORLD_SIZE="2", MASTER_ADDR="localhost", MASTER_PORT=sys.argv[1],
        GLOO_SOCKET_IFNAME="lo",
    )
    with group.joined(leads=not number):
        channel = messages.Channel()
        if number:
            signal.pause()
        try:
            channel.send(messages.Tell())
        except RuntimeError as error:
            os._exit(is_of_another_rank(str(error)))


ranks = [get_context("fork").Process(target=rank, args=(number,)) for number in (0, 1)]
for one in ranks:
    one.start()
ranks[0].join(60)
code = ranks[0].exitcode
for one in ranks:
    one.kill()
assert code == 1, code
"""
TWO = ("--nproc", "2", "--batch-size", "32", "--seed", "1")


def run_of(shell: Shell, name: str) -> Run:
    return connect(name, home=shell.home)


def launcher_of(run: Run) -> psutil.Process:
    return psutil.Process(json.loads((run.directory / "owner.json").read_text())["pid"])


def ranks_of(run: Run) -> list[psutil.Process]:
    """Return the processes of its ranks, in order."""
    return sorted(launcher_of(run).children(), key=lambda process: process.pid)


def test_two_ranks_train_what_one_does_with_twice_the_batch_and_are_steered_at_the_same_steps(
    tuitrain: Shell, tmp_path: Path
):
    (tmp_path / "net.py").write_text(NOTES)
    model = ("--model", f"{tmp_path / 'net.py'}:Net")
    for name, options in (("two", TWO), ("one", ("--batch-size", "64", "--seed", "1"))):
        tuitrain.start(name, *options, *model, "--epochs", "4", "--paused")
        for command in (
            ("step", "5"), ("loss", "mse", "--at", "batch"), ("step", "30"), ("lr", "0.01"),
            ("step", "3"), ("undo",), ("step", "2"), ("batch-size", "16"), ("resume",),
        ):  # fmt: skip
            tuitrain("ctl", name, *command)
        tuitrain.ended(name)
    two, one = run_of(tuitrain, "two"), run_of(tuitrain, "one")
    assert two.state == one.state == "finished"
    rows, wanted = two.batches(), one.batches()
    # after step 40 one of them has batches of 16 and the other of 2 * 16
    before = [(row.step, row.samples) for row in rows if row.step <= 40]
    assert before == [(row.step, row.samples) for row in wanted if row.step <= 40]
    losses, others = ([row.loss for row in which if row.step <= 40] for which in (rows, wanted))
    assert losses == pytest.approx(others, rel=1e-4)
    assert max(row.samples for row in rows if row.epoch == 4) == 32
    paused_after = {5, 35, 38, 40}
    for rank in (0, 1):
        waits_in_gloo(tmp_path / f"asked-{rank}", paused_after)


def waits_in_gloo(notes: Path, paused_after: set[int]) -> None:
    """The group of the gradients, NCCL's on GPUs, is asked for nothing during a pause."""
    asked = [tuple(map(int, line.split())) for line in notes.read_text().splitlines()]
    asked = asked[asked[0] == (0, 0) :]  # the model is tried before
    more = [(own - a, agreed - b) for (a, b), (own, agreed) in pairwise(asked)]
    epochs = [after for after, (own, _) in enumerate(more, 1) if own != more[0][0]]
    assert len(epochs) == 3, "between the first three epochs and the next, validations come, too"
    assert not paused_after.intersection(epochs)
    assert all(agreed > 1 for after, (_, agreed) in enumerate(more, 1) if after in paused_after)


@pytest.mark.parametrize("count", ["2", "4"])
def test_a_killed_rank_starts_all_anew_and_the_run_ends_as_an_undisturbed_one(
    tuitrain: Shell, count: str
):
    ranks = ("--nproc", count, "--batch-size", "32", "--seed", "1")
    tuitrain.start("a", *ranks, "--model", "mlp:dropout=0.2", "--epochs", "12", "--pace", "100")
    run = run_of(tuitrain, "a")
    until(lambda: run.epoch >= 3, "it trains")
    ranks_of(run)[1].send_signal(signal.SIGKILL)
    until(lambda: run.state != "running", "it starts anew")
    assert "has not ended" in tuitrain("resume", "a", "--plain", code=3).stderr
    tuitrain("ctl", "a", "pace", "off")
    tuitrain.ended("a")
    assert run.state == "finished"
    assert run.show()["metrics"]["accuracy"] > 0.9
    events = list(run.events(follow=False))
    warnings = [event.text for event in events if isinstance(event, Warned)]
    assert len(warnings) == 1
    assert re.fullmatch(r"rank 1 on .+ ended by SIGKILL; all ranks started anew", warnings[0])
    tuitrain("replay", "a", "--plain", "--name", "again")
    compared = [
        event for event in run_of(tuitrain, "again").events(follow=False)
        if isinstance(event, WeightsCompared)
    ]  # fmt: skip
    assert [event.is_same for event in compared] == [True]


@pytest.mark.parametrize("steps", ["3", "3000"])
def test_a_run_whose_rank_is_killed_in_a_pause_or_before_it_is_paused_anew(
    tuitrain: Shell, steps: str
):
    tuitrain.start("a", *TWO, "--epochs", "4000", "--paused")
    run = run_of(tuitrain, "a")
    tuitrain("ctl", "a", "step", steps, "--no-wait")
    until(lambda: run.steps >= 3, "it steps")
    ranks_of(run)[1].kill()
    until(lambda: run.state == "starting", "all start anew")
    until(lambda: run.state not in ("starting", "running"), "they have started anew")
    assert run.state == "paused"
    step = run.show()["step"]
    tuitrain("ctl", "a", "resume")
    until(lambda: run.show()["step"] > step, "it goes on")
    tuitrain("ctl", "a", "stop")
    assert tuitrain.ended("a")["state"] == "stopped"


def test_ranks_end_with_their_launcher_and_leave_nothing_outside_the_run(tuitrain: Shell):
    tuitrain.start("a", *TWO, *PACED)
    run = run_of(tuitrain, "a")
    launcher, ranks = launcher_of(run), ranks_of(run)
    assert len(ranks) == 2
    launcher.kill()
    _, alive = psutil.wait_procs(ranks, timeout=10)
    assert not alive
    assert run.state == "crashed"
    assert (run.directory / "ranks").is_dir(), "what torch's agent wrote"
    tuitrain("resume", "a", "--detach")
    tuitrain("ctl", "a", "stop")
    assert tuitrain.ended("a")["state"] == "stopped"
    assert not (run.directory / "ranks").exists()


def test_a_rank_whose_launcher_has_ended_before_it_began_ends(tuitrain: Shell):
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    done = subprocess.run(
        [sys.executable, "-m", "tuitrain.worker.rank"], check=False, stderr=subprocess.DEVNULL,
        env=tuitrain.env | {LAUNCHER: str(ended.pid)},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL


def test_a_signal_to_the_first_rank_alone_does_not_stop_the_run(tuitrain: Shell):
    """torch's agent sends one to each rank that it starts anew."""
    tuitrain.start("a", *TWO, *PACED)
    run = run_of(tuitrain, "a")
    until(lambda: run.steps, "it trains")
    ranks_of(run)[0].terminate()
    tuitrain("ctl", "a", "pause")
    until(lambda: run.state == "paused", "it is steered still")
    tuitrain("ctl", "a", "stop")
    assert tuitrain.ended("a")["state"] == "stopped"


def test_the_first_rank_does_not_wait_for_ever_for_one_that_takes_no_message(
    tuitrain: Shell, tmp_path: Path
):
    (tmp_path / "ranks.py").write_text(TAKES_NO_MESSAGE)
    tuitrain.python("ranks.py", str(free_port()), folder=tmp_path)


def test_a_rank_for_each_processor_trains_and_a_signal_stops_all_with_a_checkpoint(tuitrain: Shell):
    tuitrain.start("a", "--nproc", "auto", "--batch-size", "8", "--epochs", "4000")
    run = run_of(tuitrain, "a")
    assert len(ranks_of(run)) == local_count(None)
    said = until(
        lambda: re.search(r"commands within (\d+) steps", tuitrain("show", "a").stdout),
        "they meet after several steps, and say so",
    )
    assert int(said[1]) > 1
    launcher_of(run).send_signal(signal.SIGTERM)
    shown = tuitrain.ended("a")
    assert shown["state"] == "stopped"
    assert shown["checkpoints"][-1]["step"] == shown["step"]


def test_what_a_run_names_reaches_every_rank(tuitrain: Shell, tmp_path: Path):
    """Code of the user's with a weight that is never used, and parts of 7 of 4 ranks."""
    (tmp_path / "net.py").write_text(NET)
    tuitrain("run", "digits", "--model", f"{tmp_path / 'net.py'}:Net", "--loss",
           f"{tmp_path / 'net.py'}:mild", "--nproc", "4", "--batch-size", "7", "--accumulate", "2",
           "--epochs", "1", "--plain", "--name", "own", "--seed", "1")  # fmt: skip
    shown = tuitrain.show("own")
    assert shown["state"] == "finished"
    assert shown["metrics"]["accuracy"] > 0.5
    assert [rank["device"] for rank in shown["ranks"]] == ["cpu"] * 4


def test_a_swap_to_a_file_that_the_other_ranks_have_not_is_refused(tuitrain: Shell, tmp_path: Path):
    (tmp_path / "net.py").write_text(NET)
    tuitrain.start("a", *TWO, "--paused")
    for _ in range(2):
        swap = tuitrain("ctl", "a", "loss", f"{tmp_path / 'net.py'}:mild", "--at", "batch", code=3)
        assert "name it when the run starts" in swap.stderr
    tuitrain("ctl", "a", "stop")


def test_what_a_loss_keeps_is_that_of_the_first_rank_also_after_a_resume(
    tuitrain: Shell, tmp_path: Path
):
    (tmp_path / "relative.py").write_text(KEEPS)
    options = (*TWO, "--loss", f"{tmp_path / 'relative.py'}:Relative", "--epochs", "3")
    tuitrain("run", "digits", *options, "--plain", "--name", "undisturbed")
    tuitrain.start("a", *options, "--paused")
    tuitrain("ctl", "a", "step", "30")
    tuitrain("ctl", "a", "stop")
    tuitrain.ended("a")
    tuitrain("resume", "a", "--plain")
    a, undisturbed = (tuitrain.show(name) for name in ("a", "undisturbed"))
    assert (a["step"], a["weights_sha256"]) == (undisturbed["step"], undisturbed["weights_sha256"])


def test_a_loss_that_is_not_finite_on_one_rank_alone_leaves_the_weights_of_all_as_they_were(
    tuitrain: Shell, tmp_path: Path
):
    (tmp_path / "planted.py").write_text(ONE_SAMPLE_OVERFLOWS)
    options = ("--epochs", "2", "--seed", "1", "--on-nonfinite", "skip", "--plain")
    for name, ranks in (
        ("two", ("--nproc", "2", "--batch-size", "16")), ("one", ("--batch-size", "32"))
    ):  # fmt: skip
        tuitrain("run", f"{tmp_path / 'planted.py'}", *options, *ranks, "--name", name)
    rows, wanted = (run_of(tuitrain, name).batches() for name in ("two", "one"))
    bad = [row.step for row in rows if not math.isfinite(row.loss)]
    assert bad == [row.step for row in wanted if not math.isfinite(row.loss)]
    assert len(bad) == 2, "one batch of each epoch"
    losses, others = (
        [row.loss for row in which if math.isfinite(row.loss)] for which in (rows, wanted)
    )
    assert losses == pytest.approx(others, rel=1e-4)


def test_a_loss_that_is_not_finite_pauses_a_run_whose_epochs_have_few_batches(
    tuitrain: Shell, tmp_path: Path
):
    """Fewer than the ranks train from one meeting to the next."""
    (tmp_path / "planted.py").write_text(ONE_SAMPLE_OVERFLOWS)
    options = ("--nproc", "2", "--batch-size", "64", "--epochs", "6", "--seed", "2")
    tuitrain("run", f"{tmp_path / 'planted.py'}", "--detach", "--name", "a", *options)
    run = run_of(tuitrain, "a")
    until(lambda: run.state in ("paused", "finished"), "the loss is not finite")
    assert run.state == "paused"


def test_a_rank_that_fails_is_named_and_all_start_anew_as_often_as_allowed(
    tuitrain: Shell, tmp_path: Path
):
    (tmp_path / "net.py").write_text(FAILS)
    tuitrain("run", "digits", "--model", f"{tmp_path / 'net.py'}:Net", *TWO, "--max-restarts", "1",
             "--epochs", "4", "--plain", "--name", "a", code=1)  # fmt: skip
    run = run_of(tuitrain, "a")
    shown = tuitrain.show("a")
    assert shown["state"] == "failed"
    named = r"rank 1 on \S+ failed: ValueError: planted"
    (warning,) = (text for text in shown["warnings"] if "anew" in text)
    assert re.fullmatch(f"{named}; all ranks started anew", warning)
    assert re.fullmatch(f"{named}; tuitrain resume a goes on", shown["error"])
    log = (run.directory / "trainer.log").read_text()
    assert log.count("Traceback") == 2
    assert len(re.findall(r'net.py", line \d+, in forward\n.*\nValueError: planted\n', log)) == 2


def test_one_gpu_is_not_shared_by_several_ranks(tuitrain: Shell):
    """Unlike the processors, and unlike the first GPU of each of several hosts."""
    options = ("--device", "cuda:1", "--nproc")
    for count in ("2", "auto"):
        said = tuitrain.here("run", "digits", *options, count, code=2).stderr
        assert "--device cuda:1 is one device, and each of several processes needs its" in said
    paths = RunPaths(tuitrain.home / "runs" / "a")
    paths.directory.mkdir(parents=True)
    paths.write_spec(new_spec("digits", device="cuda:1", nnodes=2, rdzv_endpoint="a:1"))
    assert "is one device" in tuitrain.here("resume", "a", "--nproc", "2", code=2).stderr


def test_a_last_batch_that_only_one_process_alone_would_have_is_no_reason_to_refuse(
    tuitrain: Shell,
):
    tuitrain("run", "digits", "--model", "mlp:norm=batch", "--batch-size", "4", "--epochs", "1",
             "--nproc", "2", "--plain", "--name", "a")  # fmt: skip
    assert tuitrain("predict", "a").stdout.startswith("sample,")


def test_a_run_goes_on_with_another_number_of_ranks_from_the_end_of_an_epoch(tuitrain: Shell):
    tuitrain.start("a", *TWO, "--epochs", "4", "--paused")
    for command in (("step", "30"), ("stop",)):
        tuitrain("ctl", "a", *command)
    assert tuitrain.ended("a")["epoch"] == 1
    tuitrain("resume", "a", "--nproc", "1", "--plain")
    shown = tuitrain.show("a")
    assert shown["state"] == "finished"
    assert any(
        "not the same to the last bit any more: ranks was 2 and is 1" in text
        for text in shown["warnings"]
    )
    *_, first = (row for row in run_of(tuitrain, "a").batches() if row.step == 24)
    assert (first.epoch, first.samples) == (2, 32)
    assert shown["step"] == 23 + 3 * 45
    tuitrain("replay", "a", "--until", "25", "--plain", "--name", "again")
    (warning,) = tuitrain.show("again")["warnings"]
    assert warning == "not the same to the last bit any more: ranks was 2, then 1 and is 1"
