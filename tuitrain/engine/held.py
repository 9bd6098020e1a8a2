"""How a process holds the weights of its run, and what else has their shapes."""

from __future__ import annotations

import cmath
import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from tuitrain.engine.optim import trainable

if TYPE_CHECKING:
    from tuitrain.engine.training import Training


class Held:
    """Whole: weights, gradients and the optimizer's state are all in this process.

    Where they are not, each method is called by all ranks at once.
    """

    is_whole = True
    """Whether this process has all of them."""
    why_not_copied = ""
    """Why the model cannot be copied; empty: it can, if its own code allows it."""

    @property
    def conditions(self) -> dict[str, str]:
        """What a bit-for-bit repetition depends on."""
        return {}

    def of_model(self, run: Training) -> Sequence[Tensor]:
        """Return the trainable weights as the model has them, in order."""
        return run.weights

    @contextmanager
    def aside(self, run: Training) -> Iterator[tuple[nn.Module, Sequence[Tensor]]]:
        """Yield a model to look at, and its weights: the block may change them, and use it.

        Raises what `copy.deepcopy` raises for a model that cannot be copied.
        """
        model = copy.deepcopy(run.model)
        yield model, trainable(model)

    def weights(self, run: Training) -> dict[str, Any]:
        """Return the `state_dict` of the model, with whole weights."""
        return run.model.state_dict()

    def load_weights(self, run: Training, weights: Mapping[str, Any]) -> None:
        """Load what `weights` returned; RuntimeError, as of `load_state_dict`, if it does not fit.

        It may be on another device.
        """
        run.model.load_state_dict(weights)

    def optimizer_state(self, run: Training) -> dict[str, Any]:
        """Return the `state_dict` of the optimizer, with whole tensors."""
        return run.optimizer.state_dict()

    def load_optimizer_state(self, run: Training, state: Mapping[str, Any]) -> None:
        """Load what `optimizer_state` returned."""
        run.optimizer.load_state_dict(dict(state))

    def named_weights(self, run: Training) -> Iterable[tuple[str, Tensor]]:
        """Return what this process has of each weight, the frozen ones too, by its name."""
        return run.model.named_parameters()

    def least(self, run: Training, index: int) -> int:
        """Return the least index that any process has found."""
        del run
        return index

    def has_finite_sum(self, run: Training, loss: Tensor) -> bool:
        """Return whether the sum of loss and gradients is finite; if so, so are all their values.

        The converse does not hold: large finite values can overflow the sum. Reads each sum.
        """
        total = loss.item()
        for weight in run.weights:
            if weight.grad is not None:
                total += weight.grad.sum().item()
        return cmath.isfinite(total)  # complex if weights are complex

    def agreed(self, run: Training, flag: Tensor) -> Tensor:
        """Return 1 if the flag, 0 or 1, is set for any part of the gradients, else 0."""
        del run
        return flag

    def summed(self, sums: Tensor) -> Tensor:
        """Return sums over whole weights, of sums over what this process has of them."""
        return sums

    def clip(self, run: Training, most: float) -> Tensor:
        """Clip the 2-norm of all gradients together; return it as it was before."""
        return clip_grad_norm_(run.weights, most)
