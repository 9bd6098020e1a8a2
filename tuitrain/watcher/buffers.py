"""Buffers of the models of a watched loop, such as batch norm's statistics, before a bad step."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from weakref import ref

from torch import nn

from tuitrain.engine.state.buffers import Copies, buffers


class GoodBuffers:
    """Copies of the buffers as the newest step left them that was taken.

    Those before the first step are not known: its forward pass is over when its optimizer is met.
    """

    def __init__(self) -> None:
        self._of: list[ref[nn.Module] | None] = []
        """The models of the copies, which must not keep them alive."""
        self._copies: Copies | None = None

    def keep(self, models: Sequence[nn.Module | None]) -> None:
        """Copy the buffers of the models."""
        try:
            if self._copies is None or not self._are_of(models):
                self._of = [None if model is None else ref(model) for model in models]
                self._copies = Copies(buffers(*models))
            self._copies.keep()
        except RuntimeError:  # one has another shape now, or cannot be copied
            self._copies = None

    def restore(self, models: Sequence[nn.Module | None]) -> None:
        """Restore the buffers, unless a model is new or one of them has another shape now."""
        if self._copies is not None and self._are_of(models):
            with suppress(RuntimeError):
                self._copies.restore()

    def _are_of(self, models: Sequence[nn.Module | None]) -> bool:
        return [one and one() for one in self._of] == [*models]
