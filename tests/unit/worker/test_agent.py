"""How a launcher tells of a rank that failed, from what torch's agent knows of it."""

import json
import os
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from torch.distributed import HashStore
from torch.distributed.elastic.agent.server.api import WorkerSpec
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from tuitrain.worker.agent import LocalRanks, Meeting, run_ranks
from tuitrain.worker.elastic import Agent
from tuitrain.worker.rank_failure import failure_of, first_of, from_first


def failure(rank: int, exit_code: int, file: Path | str = "<N/A>") -> ProcessFailure:
    return ProcessFailure(local_rank=rank, pid=1, exitcode=exit_code, error_file=str(file))


def test_an_error_is_told_by_its_last_line_and_not_by_its_traceback(tmp_path: Path):
    file = tmp_path / "error.json"
    told = {"message": "first\nValueError: too \x1b[2Jlarge", "extraInfo": {
        "py_callstack": "Traceback ...", "timestamp": "5"}}  # fmt: skip
    file.write_text(json.dumps({"message": told}))
    said = failure_of({1: failure(1, 1, file), 0: failure(0, 1)}).text
    assert said.startswith("rank 1 on ")
    assert said.endswith("large")
    assert "Traceback" not in said
    assert "\x1b" not in said


LOST = "RuntimeError: [gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:1"


def test_a_killed_rank_is_told_by_its_signal():
    killed = failure_of({2: failure(2, -9)})
    assert killed.text.endswith("ended by SIGKILL")
    assert killed.exit_code == -9


def test_a_host_that_lost_another_is_told_by_it_what_happened(tmp_path: Path):
    store, file = HashStore(), tmp_path / "error.json"
    file.write_text(json.dumps({"message": {"message": LOST, "extraInfo": {"timestamp": "5"}}}))
    there = failure_of({1: failure(1, -9)}, store)
    here = failure_of({0: failure(0, 1, file)}, store)
    assert (here.text, here.exit_code) == (there.text, 1)
    assert failure_of({0: failure(0, 1, file)}).text.endswith("lost its connection to another rank")


def test_ranks_of_several_hosts_are_counted_from_the_first_one_of_the_first_host():
    store, failed = HashStore(), failure(0, -9)
    store.set("tuitrain-first", "3")
    numbers = from_first({0: failed, 3: failed, 5: failed}, first_of(store), 6)
    assert numbers == {3: failed, 0: failed, 2: failed}


def test_a_rank_that_leaves_a_part_of_its_error_is_told_by_its_exit_code(tmp_path: Path):
    """As on a full disk: torch's agent fails of it."""
    leaves = "import os; open(os.environ['TORCHELASTIC_ERROR_FILE'], 'w').write('{\"mess')"
    with patch.dict(os.environ):
        command = [sys.executable, "-c", f"{leaves}; raise SystemExit(3)"]
        ranks = LocalRanks(1, command, 0, tmp_path)
        failure = run_ranks(ranks, Meeting(), has_ended=lambda failed: False)
    assert failure is not None
    assert failure.text.endswith("failed: exit code 3")


@pytest.mark.parametrize("exit_code", [0, 3])
@pytest.mark.parametrize("has_directory", [False, True])
def test_ranks_that_have_ended_leave_no_file_behind(
    exit_code: int, has_directory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Nor does a launcher before them that was killed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if has_directory:
        (tmp_path / "ranks" / "of-a-killed-launcher").mkdir(parents=True)
    with patch.dict(os.environ):  # it sets some variables
        command = [sys.executable, "-c", f"raise SystemExit({exit_code})"]
        ranks = LocalRanks(1, command, 0, tmp_path if has_directory else None)
        failure = run_ranks(ranks, Meeting(), has_ended=lambda failed: False)
    assert (failure.exit_code if failure else 0) == exit_code
    assert failure is None or failure.is_last
    assert not list(tmp_path.iterdir())


def test_the_time_limit_of_a_meeting_is_not_that_of_the_store_for_ever(tmp_path: Path):
    """The first host may stand still for a while, and the store with it."""
    store = HashStore()
    before = store.timeout
    group = WorkerSpec("rank", 2, SimpleNamespace(), entrypoint="x")
    agent = Agent(group, DefaultLogsSpecs(str(tmp_path)), Meeting(), 1, bool, nullcontext)
    first, second = agent._assign_worker_ranks(store, 0, 1, group)
    assert (first.global_rank, second.global_rank) == (0, 1)
    assert store.timeout == before
