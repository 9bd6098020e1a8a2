"""The model beside its training: nothing that is done with it there changes the training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from tuitrain.engine.state import rng
from tuitrain.engine.training import Training


@contextmanager
def model_aside(run: Training) -> Iterator[tuple[nn.Module, Sequence[Tensor]]]:
    """Yield the model to look at, and its weights; restore the random number generators after it.

    Raises what `copy.deepcopy` raises for a model that cannot be copied.
    """
    with rng.preserved(run.device), run.held.aside(run) as model_and_weights:
        yield model_and_weights
