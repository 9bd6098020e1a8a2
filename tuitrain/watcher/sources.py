"""The loaders of a script, and the lines in which it computes a loss."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from weakref import ref

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.data import TensorDataset

LOADER = "_tuitrain_loader"
"""Attribute of a loader's iterator: a weak reference to the loader."""

_OF_TORCH = str(Path(torch.__file__).parent)
_OURS = str(Path(__file__).parent)
_FRAMES = 2
"""A helper that evaluates is called from several lines; two frames tell its calls apart."""


class Sources:
    """The loader of the newest batch, and those that have trained in this epoch."""

    def __init__(self) -> None:
        self.newest: ref[Any] | None = None
        """The loader of the newest batch."""
        self.fetched = 0
        """Batches of it, since another one yielded a batch."""
        self.unused = 0
        """Those whose loss is not computed yet: accelerate fetches a batch ahead."""
        self.samples = 0
        """Those of the batch that was trained last."""
        self._is_exhausted = self._trains = False
        """Whether it has yielded its last batch; whether the loss of one was computed to train."""
        self._over: ref[Any] | None = None
        """The loader that yielded its last batch last, until it begins anew."""
        self._training: list[tuple[ref[Any], ref[Any] | None]] = []
        """The loaders, and their data sets where these can be referenced."""
        self._known: list[tuple[ref[Any], ref[Any] | None]] = []
        """Those of earlier epochs, too."""
        self.trained: ref[Any] | None = None
        """The newest loader, once it is among them: there is nothing to be done at a step."""
        self._data: ref[Any] | None = None
        """The data set of the newest batch."""
        self._target = range(0)
        """Addresses of the target of a training batch."""
        self._memory: StorageWeakRef | None = None
        """That of the target: once it is given back, what comes to lie there is another one."""

    @property
    def loader(self) -> Any:
        """The loader that yielded the newest batch; None if it is gone, or there is none."""
        return self.newest() if self.newest is not None else None

    def fetch(self, iterator: Any) -> bool:
        """Take note of the iterator that yielded a batch, or of None after its last.

        Return whether it is another one than that of the batch before.
        """
        if iterator is None:
            self._is_exhausted = True
            if any(known is self.newest for known, _ in self._training):
                self._over = self.newest
            return False
        newest = getattr(iterator, LOADER, None)
        is_other = newest is not self.newest or self._is_exhausted
        if is_other:
            self.newest, self.fetched, self.unused = newest, 0, 0
            self._is_exhausted = self._trains = False
            self._over = None if self._over is newest else self._over
            self._data = _reference(getattr(iterator, "_dataset", None))
        self.fetched += 1
        self.unused += 1
        return is_other

    def use(self, *, trains: bool = False) -> None:
        """The loss of a batch is computed, to train or not."""
        self.unused = max(0, self.unused - 1)
        self._trains |= trains

    def train_on(self, target: Any) -> None:
        """Take note of the target of a training batch."""
        self._target = _addresses(target)
        self._memory = None
        if self._target:
            self._memory = StorageWeakRef(target.untyped_storage())  # type: ignore[no-untyped-call]  # torch's has no types

    def step(self) -> None:
        """The newest batch trained the model, if it was not evaluated, as the last of its loader.

        Then that of the step was kept from before, as `itertools.cycle` keeps batches.
        """
        if self._is_kept:
            return
        newest = self.newest
        if newest is not None and not any(newest is known for known, _ in self._training):
            self._training.append((newest, self._data))
            others = [one for one in self._known if one[0] is not newest]
            self._known = [one for one in others if not _is_replaced(one, self._data)]
            self._known.append((newest, self._data))
        self.trained = newest

    @property
    def _is_kept(self) -> bool:
        """Whether the batch of a step is none of the newest loader, all of whose were evaluated."""
        return self._is_exhausted and not (self._trains or self.unused)

    def has_trained(self, loader: Any) -> bool:
        """Return whether the loader trained in this epoch, or one of its data that is gone."""
        return _is_among(self._training, loader)

    def succeeds(self) -> bool:
        """Return whether the newest loader is another than those of this epoch, which are over."""
        known = [known for known, _ in self._training]
        if self.newest is self.trained or not known or self._is_kept:
            return False
        return all(one is not self.newest and (one is self._over or one() is None) for one in known)

    def replaces(self, *, is_first_epoch: bool) -> bool:
        """Return whether the newest loader goes on where those of this epoch ended for good.

        It never trained before; in the first epoch, where it may train by turns with others, these
        are gone.
        """
        if not self.succeeds() or _is_among(self._known, self.loader):
            return False
        return not is_first_epoch or all(known() is None for known, _ in self._training)

    def begin_epoch(self) -> None:
        """Forget the loaders of the epoch before."""
        self._training.clear()
        self.trained = None

    def of_validation(self, target: Any, samples: int) -> object:
        """Return what tells one evaluation from another; None if it is of training data.

        Of other size than the batch that was trained last, it is not that batch once more.
        """
        loader = self.loader
        trains = any(known() is loader for known, _ in self._training)
        is_used = self.unused == 0 and (self._is_exhausted or (trains and samples != self.samples))
        if loader is not None and not is_used:
            return None if trains else loader
        if self._memory is not None and self._memory.expired():  # type: ignore[no-untyped-call]  # as above
            self._target, self._memory = range(0), None
        addresses = _addresses(target)
        if any(_overlap(addresses, trained) for trained in (self._target, *self._data_in_use())):
            return None
        return place()

    def _data_in_use(self) -> list[range]:
        loaders = [known() for known, _ in self._training]
        data = [getattr(loader, "dataset", None) for loader in loaders]
        known = [one for one in data if isinstance(one, TensorDataset)]
        return [_addresses(tensor) for one in known for tensor in one.tensors]


def _is_among(known: list[tuple[ref[Any], ref[Any] | None]], loader: Any) -> bool:
    """Return whether a loader is one of these, or has the data of one that is gone."""
    data = _reference(getattr(loader, "dataset", None))
    return any(
        one() is loader or (one() is None and data is not None and data is of_one)
        for one, of_one in known
    )


def _is_replaced(known: tuple[ref[Any], ref[Any] | None], data: ref[Any] | None) -> bool:
    """Return whether a loader is gone, and its data are gone too, or those of another one."""
    one, of_one = known
    return one() is None and (of_one is None or of_one() is None or of_one is data)


def _reference(data: Any) -> ref[Any] | None:
    """Return a reference to a data set; None where there can be none, as to a list."""
    try:
        return None if data is None else ref(data)
    except TypeError:
        return None


def _addresses(target: Any) -> range:
    """Return the addresses of a tensor's numbers; none for anything else."""
    try:
        begin = target.data_ptr() if isinstance(target, Tensor) else 0
        return range(begin, begin + target.nbytes) if begin else range(0)
    except RuntimeError:  # it has none, as sparse tensors
        return range(0)


def _overlap(one: range, other: range) -> bool:
    return max(one.start, other.start) < min(one.stop, other.stop)


def place() -> object:
    """Return the lines of the script that are computing a loss."""
    lines: list[tuple[str, int]] = []
    frame = sys._getframe(1)
    while frame is not None and len(lines) < _FRAMES:
        file = frame.f_code.co_filename
        if not file.startswith((_OF_TORCH, _OURS)):
            lines.append((file, frame.f_lineno))
        frame = frame.f_back  # type: ignore[assignment]  # None ends the loop
    return tuple(lines)
