"""One rank of a run that torchrun trains: torchrun ... -m tuitrain.worker RUN_DIRECTORY

The first process of each host tries to take the lock of the run. The one that has it leads: it
records and decides. The others follow, wherever they are, and need no run directory.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace

from tuitrain.catalog.new_spec import check_devices
from tuitrain.core import code_copies
from tuitrain.core.errors import Refused, RunLocked, TuitrainError, WrongUse
from tuitrain.core.events import finished_epoch
from tuitrain.core.ranks import count_of
from tuitrain.core.safe import safe
from tuitrain.core.watched import check_not_watched
from tuitrain.record import process
from tuitrain.store import lock
from tuitrain.store.named_code import known_code
from tuitrain.store.paths import RunPaths
from tuitrain.store.reader import RunReader
from tuitrain.worker.rank import end_with_launcher, follow_first, with_error_file


def train_rank(paths: RunPaths) -> int:
    """Train the run together with the other processes of torchrun, and return the exit code."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        _say("is started by tuitrain, or by torchrun: tuitrain resume RUN")
        return WrongUse.exit_code
    end_with_launcher()
    try:
        descriptor = _lock_of(paths)
    except TuitrainError as error:
        _say(str(error))
        return error.exit_code
    if descriptor is None:
        return with_error_file(_follow)
    return with_error_file(lambda: _lead(paths, descriptor))


def _lock_of(paths: RunPaths) -> int | None:
    """Return the lock of the run if this process leads; raises as `tuitrain resume` does."""
    if os.environ["LOCAL_RANK"] != "0" or not paths.spec.exists():
        return None
    try:
        descriptor = lock.acquire(paths.lock)
    except RunLocked:  # by another host, if they share the directory
        return None
    paths.check_plain()
    spec = paths.read_spec()
    check_not_watched(spec, paths.name, "trained by torchrun")
    check_devices(spec.device, int(os.environ["LOCAL_WORLD_SIZE"]))
    code_copies.check_known(paths.code, known_code())
    if (finished := finished_epoch(RunReader(paths.record).last_word())) is not None:
        raise Refused(f"{safe(paths.name)} is finished after {finished} epochs")
    if (count := count_of(os.environ)) != (spec.nproc or 0) * spec.nnodes:
        paths.write_spec(replace(spec, nproc=count, nnodes=1, rdzv_endpoint=None))
    paths.inbox.mkdir(mode=0o700, exist_ok=True)
    return descriptor


def _lead(paths: RunPaths, descriptor: int) -> int:
    from tuitrain.worker.__main__ import train

    process.keep_lock(descriptor)
    process.write_owner(paths.owner)
    count = count_of(os.environ)
    ranks = "1 rank" if count == 1 else f"{count} ranks"
    _say(f"trains on {ranks}; tuitrain attach {paths.title} shows it")
    return train(paths, descriptor, process.Ending(), in_ranks=True)


def _follow() -> int:
    """Follow the first rank; a refusal is one line, for torchrun would print its traceback."""
    try:
        return follow_first()
    except TuitrainError as error:
        _say(str(error))
        return error.exit_code


def _say(text: str) -> None:
    sys.stderr.write(f"tuitrain: {safe(text)}\n")
    sys.stderr.flush()
