"""Start a trainer, and end one. Whoever starts it may go: it does not notice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tuitrain.core.commands import Change, Request, Setting
from tuitrain.core.errors import NameTaken, NotOnLine, Refused, RunLocked
from tuitrain.core.events import Finished
from tuitrain.core.lineage import fork_of, replay_of
from tuitrain.core.safe import safe
from tuitrain.core.spec import RunSpec, check_name
from tuitrain.store import inbox, lock
from tuitrain.store.initial import keep_copy
from tuitrain.store.paths import RunPaths, make_folder
from tuitrain.store.reader import RunReader
from tuitrain.store.reserve import set_aside


@dataclass(slots=True)
class Started:
    """A trainer of ours. Its process is reaped whenever somebody polls it."""

    paths: RunPaths
    process: subprocess.Popen[bytes]
    owner_pipe: int | None = None
    """While this end is open, an owned run goes on."""
    resumed: bool = False
    """The run has a past."""


def start(
    home: Path,
    spec: RunSpec,
    name: str | None = None,
    *,
    origin: Path | None = None,
    owned: bool = False,
) -> Started:
    """Make a run directory and start its trainer; `owned`: the run ends with this process.

    `origin` is the checkpoint that a fork goes on from, which is copied. Raises NameTaken, WrongUse
    for a name that cannot be, TuitrainError if home cannot be written.
    """
    paths = _new_directory(home, spec, name)
    try:
        descriptor = lock.acquire(paths.lock)
        if origin is not None:
            _copy(origin, paths.origin)
        make_folder(paths.inbox)
        make_folder(paths.checkpoints)
        set_aside(paths.reserve)
        if spec.init_from is not None:
            spec = replace(spec, init_from=keep_copy(Path(spec.init_from), paths))
        write_spec(paths, spec)  # last: from here on the run is listed, and its lock is held
    except BaseException:
        shutil.rmtree(paths.directory, ignore_errors=True)
        raise
    return _launch(paths, descriptor, owned=owned)


def fork(
    home: Path,
    parent: RunPaths,
    epoch: int,
    changes: Mapping[str, Any],
    name: str | None = None,
    *,
    owned: bool = False,
) -> Started:
    """Start a run that goes on from a run's checkpoint of that epoch, with settings changed.

    Raises as `tuitrain.core.lineage.fork_of` and `start` do.
    """
    past = RunReader(parent.record).events()
    spec, saved = fork_of(parent.read_spec(), past, str(parent.directory), epoch, changes)
    made = name or _numbered(home, f"{parent.name}-fork")
    return start(home, spec, made, origin=parent.checkpoints / saved.file, owned=owned)


def fork_spec(parent: RunPaths, epoch: int) -> RunSpec:
    """Return what a fork from that epoch trains as long as nothing is changed.

    From the last epoch of a run it is as many epochs again.
    """
    spec, past = parent.read_spec(), RunReader(parent.record).events()
    try:
        return fork_of(spec, past, str(parent.directory), epoch, {})[0]
    except NotOnLine:
        raise
    except Refused:
        more = {"epochs": epoch + spec.epochs}
        return fork_of(spec, past, str(parent.directory), epoch, more)[0]


def replay(
    home: Path, paths: RunPaths, spec: RunSpec, name: str | None = None, *, owned: bool = False
) -> Started:
    """Start the replay of a run that `tuitrain.core.lineage.replay_of` made of it."""
    origin = paths.origin if spec.parent and spec.parent.sha256 else None
    made = name or _numbered(home, f"{paths.name}-replay")
    return start(home, spec, made, origin=origin, owned=owned)


def replay_spec(paths: RunPaths, until: int | None, leaving_out: Sequence[str]) -> RunSpec:
    """Return what repeats the current line of a run; see `tuitrain.core.lineage.replay_of`."""
    past = RunReader(paths.record).events()
    return replay_of(
        paths.read_spec(), past, str(paths.directory), until=until, leaving_out=leaving_out
    )


def resume(
    paths: RunPaths,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    owned: bool = False,
) -> Started:
    """Let a new trainer go on with a run that has ended, up to that many epochs in all.

    With another batch size it goes on from the end of an epoch.
    Raises RunLocked for a run that is trained, Refused for a finished one without more epochs.
    """
    asked: dict[Setting, int | None] = {"epochs": epochs, "batch-size": batch_size}
    wishes = [Change(setting, value) for setting, value in asked.items() if value is not None]
    try:
        descriptor = lock.acquire(paths.lock)
    except RunLocked:
        raise RunLocked(f"{paths.name} is going; tuitrain attach {paths.name} shows it") from None
    try:
        _check_there_is_more(paths, epochs)
        set_aside(paths.reserve)
        for wish in wishes:
            inbox.put(paths.inbox, Request.new(wish))
    except BaseException:
        os.close(descriptor)
        raise
    started = _launch(paths, descriptor, owned=owned)
    started.resumed = True
    return started


def _check_there_is_more(paths: RunPaths, epochs: int | None) -> None:
    last = RunReader(paths.record).last_word()
    if not isinstance(last, Finished) or (epochs or 0) > last.epoch:
        return
    raise Refused(
        f"{paths.name} is finished after {last.epoch} epochs; "
        f"tuitrain resume {paths.name} --epochs {last.epoch * 2} trains on"
    )


def delete(paths: RunPaths) -> None:
    """Delete a run for good; RunLocked if somebody trains it."""
    try:
        descriptor = lock.acquire(paths.lock)  # so that nobody goes on with it meanwhile
    except RunLocked:
        raise RunLocked(f"{paths.name} is going; tuitrain ctl {paths.name} stop ends it") from None
    try:
        shutil.rmtree(paths.directory)
    finally:
        os.close(descriptor)


def kill(paths: RunPaths) -> None:
    """End the trainer at once, without a checkpoint, if it is the one on record."""
    import psutil

    try:
        owner = json.loads(paths.owner.read_text())
        process = psutil.Process(owner["pid"])
        if lock.is_held(paths.lock) and process.create_time() == owner["started"]:
            process.send_signal(signal.SIGKILL)
    except (OSError, ValueError, KeyError, psutil.Error):
        return


def write_spec(paths: RunPaths, spec: RunSpec) -> None:
    """Put `spec.json` in its place, whole or not at all."""
    beside = paths.spec.with_suffix(".tmp")
    beside.touch(0o600)
    beside.write_text(spec.to_json())
    beside.rename(paths.spec)


def _copy(origin: Path, target: Path) -> None:
    try:
        target.touch(0o600)
        shutil.copyfile(origin, target)
    except FileNotFoundError:
        raise Refused(f"checkpoint {safe(origin.name)} is not kept any more") from None


def _numbered(home: Path, base: str) -> str:
    """Return the first free name of base, base-2, base-3, ..., cut to what a name may have."""
    for number in range(1, 10_000):
        ending = "" if number == 1 else f"-{number}"
        name = base[: 64 - len(ending)] + ending
        if not (home / "runs" / name).exists():
            return name
    raise NameTaken(f"there are too many runs named {base}; choose a --name")


def _new_directory(home: Path, spec: RunSpec, name: str | None) -> RunPaths:
    make_folder(home)
    folder = make_folder(home / "runs")
    made = check_name(name) if name else f"{spec.task}-{time.strftime('%m%d-%H%M%S')}"
    for attempt in range(1, 100):
        directory = folder / (made if attempt == 1 else f"{made}-{attempt}")
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError:
            if name:
                raise NameTaken(f"there is a run {name} already; choose another --name") from None
        else:
            return RunPaths(directory)
    raise NameTaken(f"there are too many runs named {made}; choose a --name")


def _launch(paths: RunPaths, lock_descriptor: int, *, owned: bool) -> Started:
    # All three descriptors are redirected: a trainer that printed to a lost terminal would die.
    log = os.open(paths.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    read_end, write_end = os.pipe() if owned else (None, None)
    handed = [lock_descriptor, *([read_end] if read_end is not None else [])]
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "tuitrain.worker", str(paths.directory), *map(str, handed)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=handed,
        )
    finally:
        for descriptor in (log, *handed):
            os.close(descriptor)
    return Started(paths, process, write_end)
