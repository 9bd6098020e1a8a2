"""The file of a checkpoint: written to a temporary file, read back, and only then renamed.

Whatever interrupts a save, the file with the final name is complete or does not exist. torch loads
a file with a flipped byte without an error, so a checkpoint is trusted only by its sha256.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any, NamedTuple

import torch

from tuitrain.core.errors import Damaged
from tuitrain.core.files import NotPlain, atomic, read_plain
from tuitrain.engine.state.moment import Moment
from tuitrain.engine.state.weights import state_sha256, without_wrappers


class Written(NamedTuple):
    """A file that was written and read back."""

    bytes: int
    sha256: str
    weights_sha256: str
    took_s: float


class AtOnce(Executor):
    """Runs what is submitted in the calling thread, before `submit` returns."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return a future that is done."""
        done: Future[Any] = Future()
        try:
            done.set_result(function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - the future raises it
            done.set_exception(error)
        return done


def write(moment: Moment, target: Path, clock: Callable[[], float] = time.monotonic) -> Written:
    """Write a moment atomically to `target` and read it once; OSError or RuntimeError if it fails.

    The moment must be a copy where another thread than the training one writes it.
    """
    began = clock()
    digest = _write(moment.state, target)
    weights = state_sha256(without_wrappers(moment.state["model"]))
    return Written(target.stat().st_size, digest, weights, clock() - began)


def _write(state: object, target: Path) -> str:
    """Write `state` atomically to `target`, load it once, and return the sha256 of the file."""
    with atomic(target) as file:
        torch.save(state, file)
        file.flush()
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # typeshed wants more of a file than it uses
        file.seek(0)
        torch.load(file, map_location="cpu", weights_only=True)
    return digest


def read_state(path: Path, sha256: str) -> dict[str, Any]:
    """Return the state in a checkpoint file; Damaged if it is unreadable or has another digest."""
    try:
        with read_plain(path) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise Damaged(f"checkpoint {path.name} is damaged")
            file.seek(0)
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except NotPlain:
        raise Damaged(f"checkpoint {path.name} is not a plain file") from None
    except OSError as error:
        raise Damaged(f"checkpoint {path.name} cannot be read: {error.strerror}") from None
    return state
