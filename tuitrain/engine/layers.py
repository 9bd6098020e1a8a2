"""Measure each layer at a step: its gradient, its update and its dead units."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from tuitrain.core.detail import LAYERS
from tuitrain.core.events import Detail
from tuitrain.core.numbers import rounded
from tuitrain.engine.device import on_device

_MOST_LAYERS, _LONGEST_NAME = 200, 200
"""How many layers are recorded, and characters of their names."""
_LEAST_SAMPLES = 16
"""In a smaller batch, that a unit is 0 for all samples says little."""
_RELUS = nn.ReLU | nn.ReLU6
_RELU_FUNCTIONS = {
    functional.relu, functional.relu6, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_,
}  # fmt: skip
_NORMS = nn.modules.batchnorm._NormBase | nn.GroupNorm
_NORM_FUNCTIONS = {functional.batch_norm, functional.instance_norm, functional.group_norm}


class Layers:
    """The layers of a model: the modules that have trainable weights of their own."""

    def __init__(
        self, model: nn.Module, weights: Sequence[Tensor], *, are_used: bool = True
    ) -> None:
        """`weights` are the trainable weights of the model.

        `are_used`: its forward gives these themselves to the functions that it calls.
        """
        paths = {id(weight): name.rpartition(".")[0] for name, weight in model.named_parameters()}
        owners = [paths.get(id(weight), "") for weight in weights]
        numbers = {path: number for number, path in enumerate(dict.fromkeys(owners))}
        self.modules = tuple(map(model.get_submodule, numbers))
        self.names = tuple(
            f"{path} {type(module).__name__}".strip()
            for path, module in zip(numbers, self.modules, strict=True)
        )
        self.by_weight = {
            id(weight): numbers[path] for weight, path in zip(weights, owners, strict=True)
        }
        """The number of the layer of each weight, by the `id` of the weight."""
        self.relus = [module for module in model.modules() if isinstance(module, _RELUS)]
        is_seen = are_used or bool(self.relus)
        self.can_be_watched = is_seen and not any(map(_is_compiled, model.modules()))
        """False for a compiled model, which would be compiled again, and where functions would
        have to be watched that are not given the weights."""
        self._of_weights = torch.tensor([numbers[path] for path in owners])

    def squares(self, tensors: Sequence[Tensor]) -> Tensor:
        """Return the square of the 2-norm of each layer's tensors together, (layers,) float32.

        There is one tensor for each weight, in order.
        """
        norms = torch._foreach_norm(list(tensors))
        device = norms[0].device
        squares = torch.stack([norm.to(device, torch.float32) for norm in norms]).square()
        self._of_weights = on_device(self._of_weights, device)
        return squares.new_zeros(len(self.names)).index_add(0, self._of_weights, squares)


class Activity:
    """Notes the highest value of each unit behind a ReLU in the next forward pass.

    A ReLU belongs to the layer that was used last before it.
    """

    def __init__(self, layers: Layers | None = None) -> None:
        """Watch the modules of these layers and the ReLUs of their model, until `close`.

        Where there is no such module, `mode` watches functions: that takes longer.
        """
        self._layer, self._has_channels = 0, False
        self._highest: dict[int, Tensor] = {}
        self._handles: list[RemovableHandle] = []
        self.mode: _Functions | None = None
        if layers is None or not layers.can_be_watched:
            return
        if not layers.relus:
            self.mode = _Functions(self, layers.by_weight)
            return
        for number, module in enumerate(layers.modules):
            used = partial(self.use, number, _has_channels(module))
            self._handles.append(module.register_forward_hook(used))
        for relu in layers.relus:
            self._handles.append(relu.register_forward_hook(self._after_relu))

    def close(self) -> None:
        """Watch the modules no longer."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    @property
    def dead(self) -> dict[int, Tensor]:
        """1 for each unit that was 0 for the whole batch, else 0, (units,) float32, by layer."""
        return {layer: (highest <= 0).float() for layer, highest in self._highest.items()}

    def use(self, layer: int, has_channels: bool, *_call: object) -> None:  # noqa: FBT001 - a hook
        """Take the layer that is used; `has_channels` is whether its units are in dimension 1."""
        self._layer, self._has_channels = layer, has_channels

    def _after_relu(self, _module: nn.Module, _inputs: object, output: Any) -> None:
        self.note(output)

    def note(self, output: Any) -> None:
        """Take the output of a ReLU: (N, units), (N, units, ...) or (N, ..., units)."""
        with suppress(Exception):  # what is only measured must not end the training
            if len(output) >= _LEAST_SAMPLES:
                self._note(output.detach())

    def _note(self, output: Tensor) -> None:
        if self._has_channels and output.dim() > 2:
            output = output.flatten(2).amax(2)  # faster than all dimensions at once
        highest = output.flatten(0, -2).amax(0)
        before = self._highest.get(self._layer)
        if before is not None and before.shape == highest.shape:  # the layer is used again
            highest = torch.maximum(before, highest)
        self._highest[self._layer] = highest


def _has_channels(module: nn.Module) -> bool:
    weights = module.parameters(recurse=False)
    return isinstance(module, _NORMS) or any(weight.dim() > 2 for weight in weights)


class _Functions(TorchFunctionMode):
    """Sees the weights that functions take, and ReLUs that are functions."""

    def __init__(self, activity: Activity, layers: Mapping[int, int]) -> None:
        """`layers` has the number of the layer of each weight, by the `id` of the weight."""
        super().__init__()
        self._activity, self._layers = activity, layers

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call the function."""
        del types
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func in _RELU_FUNCTIONS:
            self._activity.note(result)
            return result
        given = [value for value in (*args, *kwargs.values()) if isinstance(value, nn.Parameter)]
        if given and id(given[0]) in self._layers:
            has_channels = func in _NORM_FUNCTIONS or any(value.dim() > 2 for value in given)
            self._activity.use(self._layers[id(given[0])], has_channels)
        return result


class LayerNumbers(NamedTuple):
    """Numbers of each layer at a step, on the device."""

    take: int
    step: int
    names: Sequence[str]
    gradients: Tensor
    """2-norms, (layers,); so are the next two."""
    moves: Tensor | None
    """Of the changes of the weights; None: not measured."""
    sizes: Tensor | None
    """Of the weights before."""
    dead: Mapping[int, Tensor]
    """(units,) for each layer with a ReLU: 1 for a dead one."""

    @property
    def dead_shares(self) -> Tensor | None:
        """The share of dead units in each layer with a ReLU; None if none was seen."""
        shares = [units.mean() for units in self.dead.values()]
        return torch.stack(shares) if shares else None

    def detail(self) -> Detail:
        """Return them as `core.detail.Layers`; waits for the device."""
        count = min(len(self.names), _MOST_LAYERS)
        shares = self.dead_shares
        dead = dict(zip(self.dead, [] if shares is None else shares.tolist(), strict=True))
        updates: Sequence[float | None] = [None] * count
        if self.moves is not None and self.sizes is not None:
            updates = rounded((self.moves / self.sizes).tolist())
        gradients = rounded(self.gradients.tolist())
        layers = [
            {
                "name": self.names[at][:_LONGEST_NAME],
                "gradient_norm": gradients[at],
                "update_ratio": updates[at],
                "dead": dead.get(at),
                "units": len(self.dead.get(at, ())),
            }
            for at in range(count)
        ]
        return Detail(self.take, self.step, LAYERS, {"layers": layers})


def _is_compiled(module: nn.Module) -> bool:
    by_method = getattr(module, "_compiled_call_impl", None) is not None
    return by_method or hasattr(module, "_orig_mod")
