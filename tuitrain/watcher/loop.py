"""`tuitrain.watch(...)`: a program watches its own training loop."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from time import perf_counter_ns
from types import TracebackType
from typing import Any, TypeVar
from weakref import ref

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from tuitrain.core.errors import WrongUse
from tuitrain.core.problem import OF_ONE_TARGET
from tuitrain.core.spec import RunSpec, check_name
from tuitrain.core.values import either
from tuitrain.store.paths import home_folder
from tuitrain.trainer import supervisor
from tuitrain.watcher import ranks
from tuitrain.watcher import session as sessions
from tuitrain.watcher.criterion import is_of_the_users
from tuitrain.watcher.frameworks import request_end
from tuitrain.watcher.losses import Own
from tuitrain.watcher.session import AnySession, Session
from tuitrain.watcher.sources import LOADER, place
from tuitrain.watcher.watch import Ending

_Batch = TypeVar("_Batch")
_REACTIONS = ("alert", "pause", "skip", "stop")
_MOST_SETTINGS = 50
_OURS = 2
"""References to a loader that the script has given up: an attribute's, and a call's argument."""
_BEGINNING = Lock()
"""Held while a block begins: of two threads, the second one has the run of the first."""
_OTHERS_COME_WITHIN_S = 5.0
"""The program may watch its loop on rank 0 alone; the others come to the block before a step."""


def watch(  # noqa: PLR0913 - all by name, none needed
    name: str | None = None,
    *,
    model: nn.Module | None = None,
    optimizer: Optimizer | None = None,
    criterion: Any = None,
    losses: Mapping[str, Own] | None = None,
    kind: str | None = None,
    config: Mapping[str, Any] | None = None,
    keep: Sequence[Any] | None = None,
    on_nonfinite: str = "alert",
    home: str | os.PathLike[str] | None = None,
) -> WatchedLoop:
    """Watch and steer the training loop in a `with` block, as `tuitrain watch` does a script.

    Nothing needs to be given. `name` is that of the run, with -2, -3, ... where it is taken;
    `model` and `optimizer` are otherwise found at the first step. `criterion` is a module of one's
    own whose calls are the loss, called with (input, target). `losses` are functions of (input,
    target) that return a scalar, by the names under which the user can swap them in. `kind` is
    multiclass, binary or regression, where the loss does not tell. `config` has settings to be
    shown. `keep` has further objects with `state_dict` and `load_state_dict`, such as averaged
    weights, that an undo takes back too. `on_nonfinite` is the reaction to a nonfinite loss or
    gradient: alert, pause, skip or stop.

    Under `tuitrain watch SCRIPT` it is the run of the script. Of several processes that train
    together, each watches its loop: rank 0 has the run, and the others do as it does. Raises
    WrongUse for a wrong argument, TuitrainError if the home cannot be written.
    """
    if kind not in (None, *OF_ONE_TARGET):
        raise WrongUse(f"kind must be {either(OF_ONE_TARGET)}, not {kind!r:.40}")
    if on_nonfinite not in _REACTIONS:
        raise WrongUse(f"on_nonfinite must be one of {', '.join(_REACTIONS)}")
    if name is not None:
        check_name(name)
    _check(
        model=model, optimizer=optimizer, criterion=criterion, losses=losses, config=config,
        keep=keep,
    )  # fmt: skip
    title = name or Path(sys.argv[0]).name or "notebook"
    spec = RunSpec(
        task=title, model="", loss="", optimizer="", lr=0.0, batch_size=0, epochs=0, seed=0,
        kind=kind, on_nonfinite=on_nonfinite, watched=(title,),
    )  # fmt: skip
    return WatchedLoop(
        spec, name, home_folder(os.fspath(home) if home is not None else None),
        model=model, optimizer=optimizer, criterion=criterion, losses=losses, config=config,
        keep=keep,
    )  # fmt: skip


def _check(
    *,
    model: object,
    optimizer: object,
    criterion: object,
    losses: object,
    config: object,
    keep: object,
) -> None:
    """Raise WrongUse for an argument of another kind, before there is a run."""
    rules = {
        "model must be a module of torch.nn": model is None or isinstance(model, nn.Module),
        "optimizer must be one of torch.optim, or of a class made from it":
            optimizer is None or isinstance(optimizer, Optimizer),
        "criterion must be a module of torch.nn, or a function":
            criterion is None or callable(criterion),
        "losses must be functions by name": losses is None or (
            isinstance(losses, Mapping)
            and all(_is_name(key) and callable(one) for key, one in losses.items())
        ),
        "config must be settings by name": config is None or isinstance(config, Mapping),
        "keep must be a list of objects with state_dict and load_state_dict":
            keep is None or (isinstance(keep, Sequence) and all(map(_can_be_kept, keep))),
    }  # fmt: skip
    for rule, is_kept in rules.items():
        if not is_kept:
            raise WrongUse(rule)


def _is_name(key: object) -> bool:
    return isinstance(key, str) and key.isprintable() and bool(key.strip())


def _can_be_kept(one: Any) -> bool:
    return all(callable(getattr(one, name, None)) for name in ("state_dict", "load_state_dict"))


class WatchedLoop:
    """A training loop under watch, between the beginning and the end of a `with` block."""

    def __init__(
        self, spec: RunSpec, name: str | None, home: Path, *, losses: Mapping[str, Own] | None,
        **given: Any,
    ) -> None:  # fmt: skip
        self._spec, self._name, self._home = spec, name, home
        self._losses, self._given = losses, given
        self._session: AnySession | None = None
        self._owned: list[bool] = []
        """Of each block in hand, the outer ones first, whether its session began with it."""
        self._sources: list[_Source] = []
        self._is_in_loader = False

    @property
    def name(self) -> str:
        """The name of the run; "" where nothing is recorded."""
        return self._session.name if self._session else ""

    @property
    def stopped(self) -> bool:
        """Whether a user stopped the run: the loop should end."""
        return self._session is not None and self._session.watch.has_ended

    def __enter__(self) -> WatchedLoop:
        with _BEGINNING:
            is_first = sessions.current is None
            self._session = sessions.current or self._new_session()
            try:
                self._introduce(self._session)
            except BaseException as error:  # of an argument: there is no block that could end
                if is_first:
                    self._session.close(error)
                raise
            if is_first:
                self._session.start()
        self._owned.append(is_first)
        return self

    def _new_session(self) -> AnySession:
        if ranks.rank():
            from tuitrain.watcher import following

            return following.Session(
                self._spec, end=self._end_by_itself, comes_within_s=_OTHERS_COME_WITHIN_S
            )
        name = self._name and supervisor.free_name(self._home, self._name)
        with supervisor.new_run(self._home, self._spec, name) as (paths, lock):
            return Session(
                paths, os.dup(lock), end=self._end_by_itself, comes_within_s=_OTHERS_COME_WITHIN_S
            )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Record how the loop ended; a stop ends the block without an error."""
        owns_session = self._owned.pop()
        if self._session is not None and owns_session:
            self._session.close(error)
        return isinstance(error, Ending) and owns_session

    def __call__(self, loader: Iterable[_Batch]) -> Iterator[_Batch]:
        """Yield the batches of a loader; end early once the run is stopped.

        One loader is one epoch each time, and so is an iterator, or a list, that is made anew in
        the same line. Without it, only a DataLoader's epochs are seen.
        """
        return self._until_stopped(loader, place())

    def _until_stopped(self, loader: Iterable[_Batch], line: object) -> Iterator[_Batch]:
        session = self._session
        if session is None:
            yield from loader
            return
        was_in_loader, self._is_in_loader = self._is_in_loader, True
        try:
            yield from self._batches(loader, line, session)
        finally:
            self._is_in_loader = was_in_loader  # that of a validation ends in another's

    def _batches(
        self, loader: Iterable[_Batch], line: object, session: AnySession
    ) -> Iterator[_Batch]:
        """Yield batches until the run is stopped; report those of a loader that no hook sees."""
        iterator = iter(loader)
        source = self._source(None if iterator is loader else loader, line)
        if not isinstance(loader, DataLoader):
            session.hooks.see("before_epoch", source)
        while not self.stopped:
            began = perf_counter_ns()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            if session.hooks.fetched_at < began:  # else by a DataLoader, perhaps within `enumerate`
                session.hooks.see("after_fetch", source, began)
            yield batch

    def _source(self, loader: Any, line: object) -> _Source:
        """Return what stands for a loader, or for one before it in that line that is used up.

        None is an iterator: it can be used only once.
        """
        known = [one for one in self._sources if one.loader is loader is not None]
        known += [one for one in self._sources if one.has_gone(line)]
        if not known:
            known = [_Source(line)]
            self._sources += known
        known[0].loader = loader
        return known[0]

    def log(self, **values: Any) -> None:
        """Record numbers or scalar tensors by name, at the present step; read later."""
        if self._session is not None:
            self._session.log(values)

    def step(self, loss: Any) -> None:
        """Record a step of a loop without an optimizer of PyTorch; `loss` is a scalar."""
        if self._session is not None:
            value = (
                loss.detach().reshape(())
                if isinstance(loss, Tensor)
                else torch.as_tensor(float(loss), dtype=torch.float64)
            )
            self._session.hooks.step_by_hand(self._session.watch.step_by_hand, value)

    def _introduce(self, session: AnySession) -> None:
        """Use what the user gave instead of what would be found."""
        loop, given = session.watch.loop, self._given
        loop.registered.update(self._losses or {})
        if given["optimizer"] is not None:
            loop.parts.meet(given["optimizer"], given["model"])
        loop.parts.kept.extend(given["keep"] or ())
        if is_of_the_users(given["criterion"]):
            session.hooks.watch_criterion(given["criterion"])
        config = list((given["config"] or {}).items())[:_MOST_SETTINGS]
        session.watch.notes += [f"{key} = {value}"[:200] for key, value in config]

    def _end_by_itself(self) -> bool:
        """Return whether the loop ends without an interrupt.

        Its loader yields no more batches, or the framework that owns it was asked.
        """
        return self._is_in_loader or request_end()


class _Source:
    """A loader, and its own iterator, for loaders that are no DataLoader."""

    loader: Any = None
    """None for an iterator."""

    def __init__(self, line: object) -> None:
        """It is iterated over in that line of the program."""
        self._line = line
        setattr(self, LOADER, ref(self))

    def has_gone(self, line: object) -> bool:
        """Return whether nothing but this has the loader of that line any more."""
        is_gone = self.loader is None or sys.getrefcount(self.loader) <= _OURS
        return is_gone and self._line == line

    def __len__(self) -> int:
        return len(self.loader)
