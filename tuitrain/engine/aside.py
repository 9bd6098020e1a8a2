"""A copy of the model to look at: nothing that is done with it changes the training."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from tuitrain.engine.state import rng
from tuitrain.engine.training import Training


@contextmanager
def copied_model(run: Training) -> Iterator[nn.Module]:
    """Yield a copy of the model, with its buffers; restore the random number generators after it.

    Raises what `copy.deepcopy` raises for a model that cannot be copied.
    """
    with rng.preserved(run.device):
        yield copy.deepcopy(run.model)
