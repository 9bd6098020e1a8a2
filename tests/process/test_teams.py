"""What several ranks train and validate of any task is what one process does."""

import json
from typing import Any

import pytest

from tests.conftest import Shell
from tests.forks import Forks
from tests.unit.engine.test_folder import folder

RANKS = 3
TEAM = """
import json, os, socket, sys
from multiprocessing import get_context
from pathlib import Path

import torch

from tests.reads import Reads
from tuitrain.catalog import new_spec
from tuitrain.core.events import BatchDone, EpochEnded
from tuitrain.engine.build import build
from tuitrain.engine.loop import train
from tuitrain.engine.ranks import group, replicated, sharded
from tuitrain.engine.ranks.ranks import Ranks
from tuitrain.engine.step import check_finite_fast, train_step
from tuitrain.engine.steering import Steering

RANKS, SIZE, TASKS = int(sys.argv[1]), 8, json.loads(sys.argv[2])


def run_of(task, size, **settings):
    return build(new_spec(task, batch_size=size, seed=1, epochs=2, **settings))


def trained(run, steering):
    events = [one for one in train(run, steering) if isinstance(one, BatchDone | EpochEnded)]
    steps = [one for one in events if isinstance(one, BatchDone)]
    ended = [one for one in events if isinstance(one, EpochEnded)]
    return {
        "samples": [one.samples for one in steps],
        "losses": [one.loss.item() for one in steps],
        "epochs": [loss for one in ended for loss in (one.train_loss, *one.val_losses.values())],
        "metrics": [value for one in ended for value in one.metrics.values()],
    }


def reads_of(run):
    "Return how often three steps wait for the device, where it is not read at once."
    run.is_synchronous = False
    batches, mark = run.batches(), run.stopwatch.mark
    train_step(run, *next(batches), mark())
    with Reads() as reads:
        for _ in range(3):
            train_step(run, *next(batches), mark())
    return reads.count


def checked_of(run):
    "Return how many tensors are checked after a step, and which weights' gradients are not seen."
    train_step(run, *next(run.batches()), run.stopwatch.mark())
    loss, unseen = torch.tensor(0.0), []
    for number, weight in enumerate(run.weights):
        kept = weight.grad.clone()
        weight.grad.view(-1)[-1] = torch.nan
        unseen += [] if check_finite_fast(run, loss) else [number]
        weight.grad.copy_(kept)
    return len(replicated.sent_gradients(run)), unseen, check_finite_fast(run, loss).item()


def looked_of(run, team):
    "Return how many messages a look at the weights takes, and what it finds beside a NaN."
    sent = []
    team.channel.send = sent.append
    run.weights[0].data.view(-1)[-1] = torch.nan
    found = run.nonfinite()
    return len(sent), found


def rank(number, port):
    os.environ |= {"RANK": str(number), "WORLD_SIZE": str(RANKS), "MASTER_ADDR": "127.0.0.1",
                   "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"}
    told = {}
    with group.joined(leads=number == 0):
        for task, settings in TASKS.items():
            run, team = run_of(task, SIZE, nproc=RANKS, val_losses=("all",), **settings), Ranks()
            team.train(run)
            told[task] = trained(run, team.steering_of(run))
        for strategy in ("ddp", "fsdp") if torch.__version__ >= (2, 8) else ("ddp",):
            run, team = run_of("digits", SIZE, nproc=RANKS, strategy=strategy), Ranks()
            team.train(run)
            told[strategy] = reads_of(run)
        run, team = run_of("digits", SIZE, nproc=RANKS), Ranks()
        team.train(run)
        told["checked"] = checked_of(run)
        told["looked"] = looked_of(run, team)
    Path(f"rank-{number}").write_text(json.dumps(told))


fork = get_context("fork")
with socket.create_server(("127.0.0.1", 0)) as free:
    port = str(free.getsockname()[1])
ranks = [fork.Process(target=rank, args=(number, port)) for number in range(RANKS)]
for one in ranks:
    one.start()
alone = {}
for task, settings in TASKS.items():
    run = run_of(task, SIZE * RANKS, val_losses=("all",), **settings)
    alone[task] = trained(run, Steering(run))
Path("alone").write_text(json.dumps(alone))
for one in ranks:
    one.join()
assert not any(one.exitcode for one in ranks)
"""
OWN = """
import torch
import tuitrain
from torch import nn


class Points(torch.utils.data.Dataset):
    "Are read one by one."

    def __init__(self, seed, count):
        numbers = torch.Generator().manual_seed(seed)
        self.inputs = torch.randn(count, 6, generator=numbers)

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, index):
        return self.inputs[index], (self.inputs[index, :3] > 0).float()


task = tuitrain.Task(
    kind="multilabel",
    train=lambda: Points(0, 49),
    val=lambda: Points(1, 22),
    model=lambda: nn.Linear(6, 3),
    classes=["a", "b", "c"],
)
"""
Told = dict[str, Any]


@pytest.fixture(scope="module")
def told(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> tuple[list[Told], Told]:
    """What each rank tells of the tasks, and what one process does whose batches are theirs."""
    forks: Forks = request.getfixturevalue("forks")
    there = tmp_path_factory.mktemp("team")
    (there / "team.py").write_text(TEAM)
    (there / "own.py").write_text(OWN)
    rows = [f"{a},{a * 7 % 11},{a * a % 13 / 2}" for a in range(65)]
    (there / "table.csv").write_text("\n".join(["a,b,y", *rows]) + "\n")
    folder(there / "photos", {"cat": 32, "owl": 33})
    tasks = {"table.csv": {}, "photos/": {"image_size": 8}, "own.py": {}}
    shell = Shell(there / "home", forks=lambda: forks)
    shell.python("team.py", str(RANKS), json.dumps(tasks), folder=there)
    ranks = [json.loads((there / f"rank-{number}").read_text()) for number in range(RANKS)]
    return ranks, json.loads((there / "alone").read_text())


@pytest.mark.parametrize(
    ("task", "samples"),
    [("table.csv", [24, 24, 4]), ("photos/", [24, 24, 4]), ("own.py", [24, 24, 1])],
)
def test_any_task_is_trained_and_validated_as_by_one_process(
    told: tuple[list[Told], Told], task: str, samples: list[int]
):
    """Also where the last batch has fewer samples than there are ranks: sample by sample."""
    ranks, alone = told
    assert all(one[task] == ranks[0][task] for one in ranks)
    found, wanted = ranks[0][task], alone[task]
    assert found["samples"] == wanted["samples"] == samples * 2
    for what in ("losses", "epochs", "metrics"):
        assert found[what] == pytest.approx(wanted[what], rel=1e-5), what


def test_no_step_of_a_rank_makes_the_host_wait(told: tuple[list[Told], Told]):
    ranks, _ = told
    strategies = [name for name in ("ddp", "fsdp") if name in ranks[0]]  # an older PyTorch has one
    assert [[one[name] for name in strategies] for one in ranks] == [[0] * len(strategies)] * RANKS


def test_gradients_are_checked_where_they_were_sent_together(told: tuple[list[Told], Told]):
    """In one tensor, instead of one for each of the weights; a NaN in any of them is found."""
    ranks, _ = told
    assert [one["checked"] for one in ranks] == [[1, [], 0.0]] * RANKS


def test_one_rank_looks_for_all_at_weights_that_all_have_alike(told: tuple[list[Told], Told]):
    ranks, _ = told
    assert [one["looked"] for one in ranks] == [[0, ["weight", "1.weight"]]] * RANKS
