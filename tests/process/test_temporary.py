"""Temporary folders of processes that end, that are killed, and that live."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

CODE = """\
from tuitrain.worker.temporary import temporary_folder
with temporary_folder() as folder:
    (folder / "code").mkdir()
    (folder / "code" / "own.py").touch()
    print(folder, flush=True)
    input()
"""


class Owner:
    """A process that has a temporary folder."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", CODE], env={"TMPDIR": str(folder)}, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )
        )  # fmt: skip
        stack.callback(self.process.kill)
        assert self.process.stdout is not None
        self.folder = Path(self.process.stdout.readline().strip())


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_what_a_killed_process_leaves_is_removed_by_the_next_one(tmp_path: Path, stack: ExitStack):
    (tmp_path / "tuitrain-other").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "tuitrain-ranks-link").symlink_to(tmp_path / "elsewhere")
    killed, alive = Owner(tmp_path, stack), Owner(tmp_path, stack)
    killed.process.kill()
    killed.process.wait()
    assert (killed.folder / "code" / "own.py").exists()

    third = Owner(tmp_path, stack)
    assert not killed.folder.exists()
    assert (alive.folder / "code" / "own.py").exists()
    for owner in (alive, third):
        owner.process.communicate("\n")
        assert owner.process.returncode == 0
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ["elsewhere", "tuitrain-other", "tuitrain-ranks-link"]
