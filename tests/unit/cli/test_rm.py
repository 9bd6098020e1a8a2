"""Deleting, and what a run directory with links in it may not do to other files."""

import os
import sqlite3

import pytest

from tests.recorded import in_home
from tuitrain import cli
from tuitrain.catalog import new_spec
from tuitrain.core.errors import WrongUse
from tuitrain.core.files import NotPlain
from tuitrain.store import lock
from tuitrain.store.paths import RunPaths, runs_in
from tuitrain.trainer import supervisor

WRITTEN = (
    "run.db", "run.db-wal", "run.db-shm", "run.db-journal", "lock", "owner.json", "trainer.log",
    "reserve", "spec.json", "inbox", "checkpoints",
)  # fmt: skip
KINDS = ("link", "dangling link", "link to a folder", "pipe")


@pytest.fixture
def paths(tmp_path):
    """A run of another user, which was not trained to its end."""
    run = in_home(tmp_path / "home", "a")
    run.trains(1)
    run.close()
    return RunPaths(tmp_path / "home" / "runs" / "a")


@pytest.fixture
def say(tmp_path, capsys):
    """Run a command line and return its exit code, what it printed and what it said on stderr."""

    def run(*arguments):
        code = cli.run(["--home", str(tmp_path / "home"), *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def outside(tmp_path):
    """The user's own things, which must stay what they are: a file and a folder."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "thesis.tex").write_text("mine")
    return folder


def is_untouched(outside):
    return [(path.name, path.read_text()) for path in outside.iterdir()] == [("thesis.tex", "mine")]


def plant(path, kind, outside):
    """Put a link or a pipe in the place of what a trainer writes."""
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    match kind:
        case "link":
            path.symlink_to(outside / "thesis.tex")
        case "dangling link":
            path.symlink_to(outside / "new")
        case "link to a folder":
            path.symlink_to(outside)
        case "pipe":
            os.mkfifo(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", WRITTEN)
def test_a_run_with_a_link_or_a_pipe_in_it_is_not_gone_on_with(paths, outside, name, kind):
    plant(paths.directory / name, kind, outside)

    with pytest.raises(NotPlain, match=rf"a/{name} is (a link|not a plain \w+): remove it"):
        supervisor.resume(paths)
    assert not lock.is_held(paths.lock)
    assert is_untouched(outside)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [item for item in WRITTEN if item != "spec.json"])
def test_deleting_such_a_run_leaves_alone_what_its_links_point_to(paths, outside, name, kind, say):
    plant(paths.directory / name, kind, outside)

    assert say("rm", "a", "--yes") == (0, "deleted a\n", "")
    assert list(paths.directory.parent.iterdir()) == []
    assert is_untouched(outside)


def test_a_linked_record_is_not_read_since_reading_makes_files_beside_it(paths, outside, say):
    other = paths.record.rename(outside / "other.db")
    database = sqlite3.connect(other)
    database.execute("pragma journal_mode = wal")
    database.close()
    paths.record.symlink_to(other)

    assert "run.db is a link" in say("show", "a")[2]
    assert sorted(path.name for path in outside.iterdir()) == ["other.db", "thesis.tex"]


def test_a_fork_copies_no_checkpoint_through_a_link(paths, outside):
    checkpoint = paths.checkpoints / "one.pt"
    checkpoint.symlink_to(outside / "thesis.tex")
    with pytest.raises(NotPlain, match=r"one\.pt is a link"):
        supervisor.start(paths.directory.parents[1], new_spec("digits"), "b", origin=checkpoint)
    assert [path.name for path in paths.directory.parent.iterdir()] == ["a"]


def test_a_run_named_twice_is_deleted_once(paths, say):
    assert say("rm", "a", "a", str(paths.directory), "--yes") == (0, "deleted a\n", "")
    assert list(paths.directory.parent.iterdir()) == []


def test_of_a_linked_run_only_the_link_is_deleted(paths, say):
    link = paths.directory.with_name("b")
    kept = paths.directory.parents[2] / "kept"
    paths.directory.rename(kept)
    link.symlink_to(kept)
    before = sorted(path.name for path in kept.iterdir())

    code, said, _ = say("rm", "b", "--yes")

    assert (code, said) == (0, f"deleted b (the link; the run stays in {kept})\n")
    assert not link.is_symlink()
    assert sorted(path.name for path in kept.iterdir()) == before


def test_a_linked_run_that_is_trained_keeps_its_link(paths, say):
    link = paths.directory.with_name("b")
    link.symlink_to(paths.directory)
    descriptor = lock.acquire(paths.lock)
    code, _, said = say("rm", "b", "--yes")
    os.close(descriptor)
    assert (code, "ctl b stop" in said, link.is_symlink()) == (3, True, True)


def test_what_an_interrupted_deletion_left_is_never_listed_and_goes_with_the_next(paths, say):
    left = paths.directory.with_name(".old.0123abcd.deleted")
    left.mkdir()
    (left / "spec.json").write_text("{}")
    hidden = paths.directory.with_name(".mine")
    hidden.mkdir()
    assert [item.name for item in runs_in(paths.directory.parent.parent)] == ["a"]

    say("rm", "a", "--yes")
    assert list(hidden.parent.iterdir()) == [hidden]


def test_a_run_that_cannot_be_made_whole_is_not_left_behind(tmp_path):
    with pytest.raises(WrongUse, match="cannot read weights from"):
        supervisor.start(tmp_path, new_spec("digits", init_from=str(tmp_path / "nothing")), "a")
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_refused_run_is_deleted_once_its_trainer_has_ended(paths, monkeypatch):
    held = lock.acquire(paths.lock)
    monkeypatch.setattr(supervisor.time, "sleep", lambda _seconds: os.close(held))
    supervisor.delete_refused(paths)
    assert list(paths.directory.parent.iterdir()) == []
