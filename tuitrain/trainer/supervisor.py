"""Start and end trainers. A trainer that is not owned outlives the process that started it."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from tuitrain.catalog.new_spec import check_sharded
from tuitrain.core import code_copies, python
from tuitrain.core.commands import Change, Epoch, Request, Setting
from tuitrain.core.errors import NameTaken, NotOnLineage, Refused, RunLocked, TuitrainError
from tuitrain.core.events import finished_epoch
from tuitrain.core.files import is_plain, open_new, open_plain, read_plain
from tuitrain.core.own import title_of
from tuitrain.core.safe import safe
from tuitrain.core.spec import RunSpec, check_name
from tuitrain.core.watched import check_not_watched
from tuitrain.store import inbox, lock
from tuitrain.store.answered import Answered
from tuitrain.store.delta import Cursor
from tuitrain.store.disk_reserve import allocate
from tuitrain.store.initial import keep_copy
from tuitrain.store.named_code import known_code, remember, remember_spec
from tuitrain.store.owner import process_of
from tuitrain.store.paths import RunPaths, make_folder
from tuitrain.store.reader import RunReader
from tuitrain.trainer import hosts, warm
from tuitrain.trainer.derived import fork_of, own_optimizer, replay_of
from tuitrain.trainer.notify import notify

_WATCH = "{0} has not ended; tuitrain attach {0} shows it"
_STOP = "{0} has not ended; tuitrain ctl {0} stop ends it"
_TRAINER = "tuitrain.worker"
_LAUNCHER = "tuitrain.worker.launch"
"""The module that starts several ranks to train a run."""
WATCHER = "tuitrain.watcher"
"""The module that runs a script under watch."""
_WATCH_LAUNCHER = "tuitrain.watcher.launch"
"""The module that starts it in several ranks."""
_FOLLOWER = "tuitrain.watcher.follow"
"""The module that runs it on the other ranks than 0."""
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_DELETED = re.compile(r"\..+\.[0-9a-f]{8}\.deleted")
_REFUSED_ENDS_S = 30.0
"""Time limit for a refused trainer to end by itself; on a loaded machine that takes seconds."""


@dataclass(slots=True)
class Started:
    """A trainer started by this process; poll `process` to reap it."""

    paths: RunPaths
    process: subprocess.Popen[bytes]
    owner_pipe: int | None = None
    """The write end of a pipe: an owned run stops when it is closed."""
    since: Cursor | None = None
    """Of a resumed run, the end of its record before the start; None: a new run."""
    missing: str | None = None
    """The answers to commands that the record lacks, in words: it was damaged."""


def start(
    home: Path,
    spec: RunSpec,
    name: str | None = None,
    *,
    origin: Path | None = None,
    parent: RunPaths | None = None,
    owned: bool = False,
) -> Started:
    """Make a run directory and start its trainer; an `owned` run ends with this process.

    `origin` is the checkpoint that a fork starts from; it is copied, and so is the user's code that
    `parent` has. Raises NameTaken, WrongUse for an invalid name, TuitrainError if home cannot be
    written, Refused for code that the user never started by name.
    """
    if parent is None:
        remember_spec(spec)
    else:
        code_copies.check_known(parent.code, known_code())
    with new_run(home, spec, name, origin=origin, parent=parent) as (paths, descriptor):
        return _launch(paths, descriptor, module=_trainer_of(spec), owned=owned)


def _trainer_of(spec: RunSpec) -> str:
    return _LAUNCHER if spec.is_distributed else _TRAINER


@contextmanager
def new_run(
    home: Path,
    spec: RunSpec,
    name: str | None = None,
    *,
    origin: Path | None = None,
    parent: RunPaths | None = None,
) -> Iterator[tuple[RunPaths, int]]:
    """Make a run directory, and hold its lock in the block: yields its paths and the descriptor.

    It is removed again if the block raises and no trainer has the lock. Raises as `start` does.
    """
    paths = _new_directory(home, spec, name)
    try:
        with _locked(paths, _WATCH) as descriptor:
            if origin is not None:
                _copy(origin, paths.origin)
            if parent is not None:
                code_copies.copy_code(parent.code, paths.code)
            make_folder(paths.inbox)
            make_folder(paths.checkpoints)
            allocate(paths.disk_reserve)
            if spec.init_from is not None:
                given = spec.init_given or spec.init_from
                copy = keep_copy(Path(spec.init_from), paths, given)
                spec = replace(spec, init_from=copy, init_given=given)
            paths.write_spec(spec)  # last: now the run is listed, with its lock held
            yield paths, descriptor
    except BaseException:
        if not lock.is_held(paths.lock):  # on an interrupt the trainer may already run
            shutil.rmtree(paths.directory, ignore_errors=True)
        raise


def fork(
    home: Path,
    parent: RunPaths,
    epoch: Epoch,
    changes: Mapping[str, Any],
    name: str | None = None,
    *,
    owned: bool = False,
) -> Started:
    """Start a run from a checkpoint of `parent` at that epoch, with settings changed.

    Raises as `tuitrain.trainer.derived.fork_of` and `start` do, and Refused for a watched script.
    """
    check_not_watched(parent.read_spec(), parent.name, "forked")
    events = RunReader(parent.record).events()
    spec, saved = fork_of(parent.read_spec(), events, str(parent.directory), epoch, changes)
    as_it_was, _ = fork_of(
        parent.read_spec(), events, str(parent.directory), epoch, {"epochs": spec.epochs}
    )
    remember(new for key, new in changes.items() if new != getattr(as_it_was, key, None))
    chosen = name or free_name(home, f"{parent.name}-fork")
    origin = parent.checkpoints / saved.file
    return start(home, spec, chosen, origin=origin, parent=parent, owned=owned)


def fork_spec(parent: RunPaths, epoch: int) -> RunSpec:
    """Return the spec of a fork from that epoch without changed settings.

    A fork from the last epoch of a run trains as many epochs again. Refused for a watched script.
    """
    spec = parent.read_spec()
    check_not_watched(spec, parent.name, "forked")
    events = RunReader(parent.record).events()
    try:
        return fork_of(spec, events, str(parent.directory), epoch, {})[0]
    except NotOnLineage:
        raise
    except Refused:
        more = {"epochs": epoch + spec.epochs}
        return fork_of(spec, events, str(parent.directory), epoch, more)[0]


def replay(
    home: Path, paths: RunPaths, spec: RunSpec, name: str | None = None, *, owned: bool = False
) -> Started:
    """Start the replay of a run with a spec from `replay_spec`."""
    origin = paths.origin if spec.parent and spec.parent.sha256 else None
    chosen = name or free_name(home, f"{paths.name}-replay")
    return start(home, spec, chosen, origin=origin, parent=paths, owned=owned)


def replay_spec(paths: RunPaths, until: int | None, leaving_out: Sequence[str]) -> RunSpec:
    """Return the spec that replays the lineage; see `tuitrain.trainer.derived.replay_of`."""
    events = RunReader(paths.record).events()
    return replay_of(
        paths.read_spec(), events, str(paths.directory), until=until, leaving_out=leaving_out
    )


def resume(
    paths: RunPaths,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr_schedule: str | None = None,
    owned: bool = False,
    **ranks: Any,
) -> Started:
    """Start a new trainer for a run that has ended; `epochs` is the new total.

    With another batch size the run continues from the end of an epoch. A schedule begins where the
    run goes on. `ranks` are fields of the spec that say how many ranks train it from now on.
    Raises RunLocked if the run has not ended, NoSuchRun if it is deleted meanwhile, NotPlain if
    its directory contains links, Refused if it is finished and `epochs` is not higher, for a
    watched script, for what has no shards, and for code that the user never started by name.
    """
    settings: dict[Setting, int | str | None] = {
        "epochs": epochs, "batch-size": batch_size, "schedule": lr_schedule,
    }  # fmt: skip
    commands = [Change(setting, value) for setting, value in settings.items() if value is not None]
    with _locked(paths, _WATCH) as descriptor:
        paths.check_plain()
        before = paths.read_spec()
        check_not_watched(before, paths.name, "resumed")
        spec = hosts.resumed(before, ranks)
        if spec.is_sharded or ranks.get("strategy") == "fsdp":
            check_sharded(spec, own_optimizer(RunReader(paths.record).events()))
        code_copies.check_known(paths.code, known_code())
        answered = Answered.read(paths.answered)  # before the record, which is written first
        missing = answered.why_not(RunReader(paths.record).rows())
        _check_there_is_more(paths, epochs)
        paths.inbox.mkdir(mode=0o700, exist_ok=True)  # git and archives drop an empty folder
        allocate(paths.disk_reserve)
        for command in commands:
            inbox.put(paths.inbox, Request.new(command))
        if spec != before:
            paths.write_spec(spec)
        since = RunReader(paths.record).end()
        started = _launch(paths, descriptor, module=_trainer_of(spec), owned=owned)
    started.since, started.missing = since, missing
    return started


def _check_there_is_more(paths: RunPaths, epochs: int | None) -> None:
    reader = RunReader(paths.record)
    paths.read_spec()
    if paths.has_lost_record:
        raise Refused(
            f"{paths.name} has lost its record, run.db: put it back, or begin anew with "
            f"tuitrain run --init-from {paths.checkpoints}/FILE.pt"
        )
    reader.events()  # fail here, not in the trainer, if it cannot be read
    finished = finished_epoch(reader.last_word())
    if finished is None or (epochs or 0) > finished:
        return
    raise Refused(
        f"{paths.name} is finished after {finished} epochs; "
        f"tuitrain resume {paths.name} --epochs {finished * 2} trains on"
    )


def delete(paths: RunPaths) -> None:
    """Delete a run for good; of a linked run, delete only the link.

    Raises RunLocked if the run has not ended, NoSuchRun if it is deleted already.
    """
    if paths.directory.is_symlink():
        check_idle(paths)
        paths.directory.unlink(missing_ok=True)
        return
    deleted = paths.directory.with_name(f".{paths.name}.{secrets.token_hex(4)}.deleted")
    # A lock that is a link is never held. Otherwise hold it, so that no trainer starts meanwhile.
    with _locked(paths, _STOP) if is_plain(paths.lock) else nullcontext():
        paths.directory.rename(deleted)
    for folder in deleted.parent.glob(".*.deleted"):  # also the remains of interrupted deletions
        if _DELETED.fullmatch(folder.name):
            shutil.rmtree(folder, ignore_errors=True)
    if deleted.exists():
        raise TuitrainError(f"{paths.name} is deleted, but {safe(deleted)} cannot be removed")


def delete_refused(paths: RunPaths) -> None:
    """Delete a run that was refused before its first batch, once its trainer has ended."""
    give_up_at = time.monotonic() + _REFUSED_ENDS_S
    while lock.is_held(paths.lock) and time.monotonic() < give_up_at:
        time.sleep(0.02)
    delete(paths)


def check_idle(paths: RunPaths) -> None:
    """Raise RunLocked if the run has not ended."""
    if lock.is_held(paths.lock):
        raise RunLocked(_STOP.format(paths.name))


def kill(paths: RunPaths) -> None:
    """Kill the trainer, without a checkpoint, if the owner file still identifies its process."""
    trainer = process_of(paths.owner)
    if trainer is not None and lock.is_held(paths.lock):
        with suppress(OSError):
            os.kill(trainer.pid, signal.SIGKILL)


def _copy(origin: Path, target: Path) -> None:
    try:
        source = read_plain(origin)
    except FileNotFoundError:
        raise Refused(f"checkpoint {safe(origin.name)} is no longer kept") from None
    with source as checkpoint, os.fdopen(open_new(target), "wb") as copy:
        shutil.copyfileobj(checkpoint, copy)


@contextmanager
def _locked(paths: RunPaths, refusal: str) -> Iterator[int]:
    """Hold the lock of the run; a trainer that inherits the descriptor keeps holding it."""
    try:
        descriptor = lock.acquire(paths.lock)
    except RunLocked:
        raise RunLocked(refusal.format(paths.name)) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def free_name(home: Path, base: str) -> str:
    """Return the first free name of base, base-2, base-3, ..., with base cut to fit."""
    for number in range(1, 10_000):
        ending = "" if number == 1 else f"-{number}"
        name = base[: 64 - len(ending)] + ending
        if not (home / "runs" / name).exists():
            return name
    raise NameTaken(f"there are too many runs named {base}; choose a --name")


def _new_directory(home: Path, spec: RunSpec, name: str | None) -> RunPaths:
    make_folder(home)
    folder = make_folder(home / "runs")
    base = check_name(name) if name else f"{_stem(spec.task)}-{time.strftime('%m%d-%H%M%S')}"
    for attempt in range(1, 100):
        directory = folder / (base if attempt == 1 else f"{base}-{attempt}")
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError:
            if name:
                raise NameTaken(f"there is a run {name} already; choose another --name") from None
        else:
            return RunPaths(directory)
    raise NameTaken(f"there are too many runs named {base}; choose a --name")


def _stem(task: str) -> str:
    """Return the beginning of a run's name: the task's, or that of its file or folder."""
    name = title_of(task).partition(":")[0].partition(".")[0]
    return _NOT_IN_A_NAME.sub("-", name)[:40].strip("-.") or "own"


def watch(home: Path, spec: RunSpec, name: str | None = None) -> Started:
    """Start a script under watch, in a process of its own; its output goes to the log.

    Raises as `start` does.
    """
    with new_run(home, spec, name) as (paths, descriptor):
        return _launch(paths, descriptor, spec.watched, module=_watcher_of(spec), owned=False)


def watch_here(
    home: Path, spec: RunSpec, name: str | None = None, *, notified: Sequence[str] = ()
) -> NoReturn:
    """Let this process become the script under watch, with its terminal and exit code.

    The command `notified` is given the news of the run.
    """
    with new_run(home, spec, name) as (paths, descriptor):
        notify(paths, notified)
        os.set_inheritable(descriptor, True)
        module = _watcher_of(spec)
        line = python.command(module, str(paths.directory), str(descriptor), *spec.watched)
        os.execve(line[0], line, python.environment())  # noqa: S606 - Python itself


def _watcher_of(spec: RunSpec) -> str:
    return _WATCH_LAUNCHER if spec.is_distributed else WATCHER


def follow_here(spec: RunSpec) -> NoReturn:
    """Let this process become the script as another rank than 0, which does as that one does."""
    line = python.command(_FOLLOWER, spec.to_json(), *spec.watched)
    os.execve(line[0], line, python.environment())  # noqa: S606 - Python itself


def _launch(
    paths: RunPaths, lock_descriptor: int, command: Sequence[str] = (), *,
    module: str, owned: bool,
) -> Started:  # fmt: skip
    # Redirect all three streams: a trainer that printed to a closed terminal would die.
    log = open_plain(paths.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    read_end, write_end = os.pipe() if owned else (None, None)
    owner = [read_end] if read_end is not None else []
    inherited = [lock_descriptor, *owner]
    taken = None
    try:
        if module == _TRAINER:
            taken = warm.take([str(paths.directory)], [log, *inherited])
        process = taken or subprocess.Popen(
            python.command(module, str(paths.directory), *map(str, inherited), *command),
            env=python.environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=inherited,
        )
    finally:
        for descriptor in (log, *owner):
            os.close(descriptor)
    return Started(paths, process, write_end)
