"""A data set that was prepared once is read, to the last bit, and never trusted blindly."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tuitrain.catalog import TASKS
from tuitrain.engine.data import Parts
from tuitrain.engine.tasks.prepared import prepared

DIGITS = TASKS["digits"].place
EMBEDDED = [task for task in TASKS.values() if not task.is_downloaded]


def digits() -> Parts:
    return TASKS["digits"].load()()


def never() -> Parts:
    pytest.fail("it is prepared already")


@pytest.mark.parametrize("task", EMBEDDED, ids=lambda task: task.name)
def test_what_is_read_is_what_was_prepared(tmp_path: Path, task):
    made = task.load()()
    first = prepared(task.place, task.load(), folder=tmp_path)
    again = prepared(task.place, never, folder=tmp_path)
    for parts in (first, again):
        assert [part.dtype for part in parts] == [part.dtype for part in made]
        assert all(map(torch.equal, parts, made))


@pytest.mark.parametrize("damage", [b"", b"nonsense", None], ids=["empty", "nonsense", "a bit"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: bytes | None):
    prepared(DIGITS, digits, folder=tmp_path)
    (file,) = tmp_path.iterdir()
    atomic = file.read_bytes()
    flipped = atomic[:5000] + bytes([atomic[5000] ^ 1]) + atomic[5001:]
    file.write_bytes(flipped if damage is None else damage)

    parts = prepared(DIGITS, digits, folder=tmp_path)

    assert all(map(torch.equal, parts, digits()))
    assert file.read_bytes() == atomic


def test_where_nothing_can_be_kept_it_is_prepared_each_time(tmp_path: Path):
    (tmp_path / "file").write_text("")
    parts = prepared(DIGITS, digits, folder=tmp_path / "file")
    assert len(parts[1]) == 1437


def test_a_second_run_does_not_wait_for_scikit_learn(tmp_path: Path):
    prepared(DIGITS, digits, folder=tmp_path)
    program = f"""
import sys
from pathlib import Path
from tuitrain.engine.tasks.prepared import prepared
folder = Path({str(tmp_path)!r})
assert len(prepared({DIGITS!r}, None, folder=folder)[3]) == 360
print("sklearn" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
