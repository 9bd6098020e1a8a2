"""The folder that holds the runs, and the paths in a run directory."""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tuitrain.core.errors import DamagedRecord, NoSuchRun, Refused, TuitrainError
from tuitrain.core.files import (
    NotPlain,
    check_folder,
    expanded,
    is_plain,
    read_text,
    write_atomically,
)
from tuitrain.core.safe import safe
from tuitrain.core.spec import NAME, RunSpec

INITIAL = re.compile(r"init-[0-9a-f]{12}\.pt")
"""Name of a run's own copy of its initial weights; a spec may name no other file."""
_LARGEST_SPEC = 1 << 20
_SIDE_FILES = ("wal", "shm", "journal")
"""Suffixes of the files that SQLite creates next to a record."""


@dataclass(frozen=True, slots=True)
class RunPaths:
    """The paths in one run directory."""

    directory: Path

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def title(self) -> str:
        """The name, made safe for a terminal: a directory may have any name."""
        return safe(self.name, limit=64)

    @property
    def record(self) -> Path:
        return self.directory / "run.db"

    @property
    def inbox(self) -> Path:
        return self.directory / "inbox"

    @property
    def checkpoints(self) -> Path:
        return self.directory / "checkpoints"

    @property
    def origin(self) -> Path:
        """A fork's copy of the checkpoint that it starts from."""
        return self.directory / "origin.pt"

    @property
    def lock(self) -> Path:
        return self.directory / "lock"

    @property
    def owner(self) -> Path:
        return self.directory / "owner.json"

    @property
    def busy(self) -> Path:
        """The note of a trainer that has finished no batch for long."""
        return self.directory / "busy.json"

    @property
    def failed_rank(self) -> Path:
        """The note of a launcher that starts its ranks anew: which of them failed, and of what."""
        return self.directory / "failed-rank"

    @property
    def answered(self) -> Path:
        """The count and digest of the answers to commands."""
        return self.directory / "answered.json"

    @property
    def has_lost_record(self) -> bool:
        """Whether the record is missing although answers or checkpoints show that there was one."""
        if self.record.exists():
            return False
        return self.answered.exists() or any(self.checkpoints.glob("*.pt"))

    @property
    def log(self) -> Path:
        return self.directory / "trainer.log"

    @property
    def spec(self) -> Path:
        return self.directory / "spec.json"

    @property
    def notes(self) -> Path:
        """Notes and tags, which anybody may add, also to a run that is not trained."""
        return self.directory / "notes.jsonl"

    @property
    def code(self) -> Path:
        """Copies of the user's Python files."""
        return self.directory / "code"

    @property
    def disk_reserve(self) -> Path:
        return self.directory / "reserve"

    def check_plain(self) -> None:
        """Raise NotPlain if a path that a trainer writes or deletes is a link or a special file."""
        side_files = [self.record.with_name(f"run.db-{ending}") for ending in _SIDE_FILES]
        for path in (self.record, *side_files, self.owner, self.log, self.spec, self.disk_reserve,
                     self.lock, self.origin, self.answered, self.busy):  # fmt: skip
            if not is_plain(path):
                raise NotPlain(path)
        for folder in (self.inbox, self.checkpoints, self.code):
            check_folder(folder)

    def read_spec(self) -> RunSpec:
        """Return the spec of the run, with the full path of its initial weights.

        Raises DamagedRecord, which names the run, if the spec cannot be read.
        """
        try:
            spec = RunSpec.from_json(read_text(self.spec, most=_LARGEST_SPEC))
            return replace(spec, init_from=self._own_weights(spec.init_from))
        except DamagedRecord as error:
            raise DamagedRecord(error.reason, self.title) from None
        except OSError as error:
            raise DamagedRecord(f"its spec.json: {error.strerror}", self.title) from None

    def write_spec(self, spec: RunSpec) -> None:
        """Put `spec.json` in its place, whole or not at all."""
        write_atomically(self.spec, spec.to_json())

    def _own_weights(self, name: str | None) -> str | None:
        if name is None:
            return None
        if not INITIAL.fullmatch(name):
            raise DamagedRecord(f"its spec.json is damaged: init_from is {name!r:.60}")
        return str(self.directory.absolute() / name)


def home_folder(given: str | None = None) -> Path:
    """Return the home folder: `given`, else $TUITRAIN_HOME, else the platform's state folder."""
    if chosen := given or os.environ.get("TUITRAIN_HOME"):
        return _checked_home(expanded(chosen).absolute())
    from platformdirs import user_state_path

    return user_state_path("tuitrain", appauthor=False)


def _checked_home(home: Path) -> Path:
    try:
        status = os.lstat(home)
    except FileNotFoundError:
        return home
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise Refused(
                f"a home of {len(str(home)):,} characters has too long a name: "
                f"{safe(home, limit=40)}; choose another place with --home"
            ) from None
        raise TuitrainError(
            f"cannot use {safe(home)}: {error.strerror}; choose another place with --home"
        ) from None
    if not home.is_dir():
        what = "a link that leads nowhere" if stat.S_ISLNK(status.st_mode) else "not a folder"
        raise TuitrainError(f"{safe(home)} is {what}; choose another place with --home")
    return home


def make_folder(path: Path) -> Path:
    """Make a folder that only its owner may enter; TuitrainError if it cannot be made."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise TuitrainError(
            f"cannot make {safe(path)}: {error.strerror}; choose another place with --home"
        ) from None
    return path


def runs_in(home: Path) -> list[RunPaths]:
    """Return the runs in `home`, newest first, including unreadable ones."""
    try:
        folders = [entry.path for entry in os.scandir(home / "runs") if entry.name[0] != "."]
    except (FileNotFoundError, NotADirectoryError):
        return []
    created_at = {folder: at for folder in folders if (at := _created_at(folder)) is not None}
    newest_first = sorted(created_at, key=lambda folder: (created_at[folder], folder), reverse=True)
    return [RunPaths(Path(folder)) for folder in newest_first]


def _created_at(directory: str) -> int | None:
    """Return when the spec in a directory was written, in nanoseconds; None if it is not a run."""
    try:
        return os.lstat(f"{directory}/spec.json").st_mtime_ns
    except PermissionError:  # it may be a run
        with suppress(OSError):
            return os.lstat(directory).st_mtime_ns
    except OSError:
        pass
    return None


def find_run(home: Path, run: str | None) -> RunPaths:
    """Return the run with that name, unique prefix or directory; the newest run for None."""
    runs = runs_in(home)
    if run is None:
        if not runs:
            raise NoSuchRun("there is no run yet; tuitrain run starts one")
        return runs[0]
    if os.sep in run or run in (".", ".."):
        directory = Path(os.path.abspath(run))  # noqa: PTH100 - keeps the name of a link
        if not _is_run(directory):
            raise NoSuchRun(f"{safe(run)} is not a run directory; tuitrain ls lists the runs")
        return RunPaths(directory)
    exact = [paths for paths in runs if paths.name == run]
    matching = exact or [paths for paths in runs if run and paths.name.startswith(run)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        names = ", ".join(safe(paths.name) for paths in matching[:5])
        raise NoSuchRun(f"{safe(run)!r} begins the names of {len(matching)} runs: {names}")
    shown = safe(run) if NAME.fullmatch(run) else repr(safe(run))
    raise NoSuchRun(f"no run {shown}; tuitrain ls lists what there is")


def _is_run(directory: Path) -> bool:
    try:
        return os.path.lexists(directory / "spec.json")
    except ValueError:  # a file name cannot contain NUL
        return False
