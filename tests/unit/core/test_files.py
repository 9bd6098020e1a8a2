import os
import subprocess
import sys
from contextlib import suppress

import pytest

from tuitrain.core.files import (
    NotPlain,
    atomic,
    check_folder,
    open_new,
    open_plain,
    write_atomically,
)

READ_AND_FILL = """
import os
from tuitrain.core.files import fill_standard_descriptors
fill_standard_descriptors()
assert os.open(os.devnull, os.O_RDONLY) > 2
for descriptor in (0, 1, 2):
    os.fstat(descriptor)
    assert os.get_inheritable(descriptor)
"""


@pytest.fixture
def outside(tmp_path):
    """A file of the user's that nothing may touch."""
    path = tmp_path / "thesis.tex"
    path.write_text("mine")
    return path


def planted(path, kind, outside):
    """Put something that is no plain file where `path` is."""
    match kind:
        case "link":
            path.symlink_to(outside)
        case "dangling link":
            path.symlink_to(outside.with_name("nothing"))
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
    return path


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder"])
@pytest.mark.parametrize("flags", [os.O_RDWR | os.O_CREAT, os.O_WRONLY | os.O_APPEND, os.O_RDONLY])
def test_only_a_plain_file_is_opened(tmp_path, outside, kind, flags):
    path = planted(tmp_path / "lock", kind, outside)
    with pytest.raises(NotPlain, match=r"lock is (a link|not a plain file)") as caught:
        open_plain(path, flags)
    assert caught.value.exit_code == 3
    assert outside.read_text() == "mine"
    assert not outside.with_name("nothing").exists()


def test_a_pipe_that_has_a_reader_is_not_written(tmp_path):
    os.mkfifo(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(NotPlain):
        open_plain(tmp_path / "log", os.O_WRONLY)
    os.close(reader)


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder"])
def test_a_new_file_is_made_only_where_there_is_nothing(tmp_path, outside, kind):
    with pytest.raises(FileExistsError):
        open_new(planted(tmp_path / "new", kind, outside))
    assert outside.read_text() == "mine"


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe"])
def test_a_file_written_whole_replaces_a_link_and_not_what_it_points_to(tmp_path, outside, kind):
    path = planted(tmp_path / "owner.json", kind, outside)
    write_atomically(path, "{}")
    assert path.read_text() == "{}"
    assert not path.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o600
    assert outside.read_text() == "mine"
    assert sorted(tmp_path.iterdir()) == sorted([path, outside])


def test_a_file_is_what_it_was_when_its_writing_fails(tmp_path):
    path = tmp_path / "spec.json"
    path.write_text("old")
    with suppress(KeyboardInterrupt), atomic(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_to_a_folder_is_no_folder(tmp_path):
    (tmp_path / "inbox").symlink_to(tmp_path)
    with pytest.raises(NotPlain, match="inbox is a link"):
        check_folder(tmp_path / "inbox")
    check_folder(tmp_path)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_descriptors_are_filled_before_a_file_gets_their_number(closed):
    shell = f'exec "$0" -c "$1" {closed}'
    done = subprocess.run(["sh", "-c", shell, sys.executable, READ_AND_FILL], check=False)
    assert done.returncode == 0
