"""How a launcher tells of a rank that failed, from what torch's agent knows of it."""

import json
from pathlib import Path

from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from tuitrain.worker.agent import described


def failure(rank: int, exit_code: int, file: Path | str = "<N/A>") -> ProcessFailure:
    return ProcessFailure(local_rank=rank, pid=1, exitcode=exit_code, error_file=str(file))


def test_an_error_is_told_by_its_last_line_and_not_by_its_traceback(tmp_path: Path):
    file = tmp_path / "error.json"
    told = {"message": "first\nValueError: too \x1b[2Jlarge", "extraInfo": {
        "py_callstack": "Traceback ...", "timestamp": "5"}}  # fmt: skip
    file.write_text(json.dumps({"message": told}))
    said = described({1: failure(1, 1, file), 0: failure(0, 1)})
    assert said.startswith("rank 1 on ")
    assert said.endswith("large")
    assert "Traceback" not in said
    assert "\x1b" not in said


def test_a_killed_rank_is_told_by_its_signal():
    assert described({2: failure(2, -9)}).endswith("ended by SIGKILL")
