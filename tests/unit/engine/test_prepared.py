"""A data set that was prepared once is read, to the last bit, and never trusted blindly."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tuitrain.engine.data import Dataset
from tuitrain.engine.tasks import breast_cancer, diabetes, digits
from tuitrain.engine.tasks.prepared import prepared


def never() -> Dataset:
    pytest.fail("it is prepared already")


@pytest.mark.parametrize("task", [digits, breast_cancer, diabetes])
def test_what_is_read_is_what_was_prepared(tmp_path: Path, task):
    made = task.load()
    first = prepared(task.__name__, task.load, folder=tmp_path)
    again = prepared(task.__name__, never, folder=tmp_path)
    for data in (first, again):
        assert (data.kind, data.outputs, data.unit, data.classes) == (
            made.kind, made.outputs, made.unit, made.classes,
        )  # fmt: skip
        for one, other in ((data.train, made.train), (data.val, made.val)):
            assert torch.equal(one.inputs, other.inputs)
            assert torch.equal(one.targets, other.targets)
            assert one.inputs.dtype == other.inputs.dtype


@pytest.mark.parametrize("damage", [b"", b"nonsense", None], ids=["empty", "nonsense", "a bit"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: bytes | None):
    prepared(digits.__name__, digits.load, folder=tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    flipped = whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]
    file.write_bytes(flipped if damage is None else damage)

    data = prepared(digits.__name__, digits.load, folder=tmp_path)

    assert torch.equal(data.val.inputs, digits.load().val.inputs)
    assert file.read_bytes() == whole


def test_where_nothing_can_be_kept_it_is_prepared_each_time(tmp_path: Path):
    (tmp_path / "file").write_text("")
    data = prepared(digits.__name__, digits.load, folder=tmp_path / "file")
    assert len(data.train) == 1437


def test_a_second_run_does_not_wait_for_scikit_learn(tmp_path: Path):
    prepared(digits.__name__, digits.load, folder=tmp_path)
    program = f"""
import sys
from pathlib import Path
from tuitrain.engine.tasks.prepared import prepared
folder = Path({str(tmp_path)!r})
assert len(prepared("tuitrain.engine.tasks.digits", None, folder=folder).val) == 360
print("sklearn" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
