"""How a program makes its model and its optimizer, from the options that the run was given."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from tuitrain.core.catalog import find, read_options
from tuitrain.core.choice import Choice
from tuitrain.core.errors import Refused
from tuitrain.core.safe import safe
from tuitrain.export.program.part import NN, TORCH, Part, fitted, indented

Shape = tuple[int, ...]


def model(text: str, shape: Shape, outputs: int) -> Part:
    """Return the model that `NAME[:key=value,...]` stands for, its layers in the engine's order."""
    name, options = _read("model", text)
    if name not in _MODELS:
        raise Refused(f"no program can be written for the model {safe(name)}")
    layers = _MODELS[name](shape, outputs, **options)
    body = indented([f"{layer}," for layer in layers], 1)
    return Part(f"model = nn.Sequential(\n{body})\n", (NN,))


def optimizer(text: str, lr: float, device: str) -> Part:
    """Return the optimizer, fused where the engine fuses it: other kernels round otherwise."""
    name, options = _read("optimizer", text)
    del options["schedule"]  # the loop's
    if name not in _OPTIMIZERS:
        raise Refused(f"no program can be written for the optimizer {safe(name)}")
    given = [f"lr={lr!r}", *(f"{key}={value!r}" for key, value in options.items())]
    given += ["fused=True"] if device.partition(":")[0] in ("cpu", "cuda") else []
    arguments = ", ".join(["model.parameters()", *given])
    return Part(fitted(f"optimizer = torch.optim.{_OPTIMIZERS[name]}(", arguments), (TORCH,))


def schedule(text: str) -> str:
    """Return what the learning rate becomes once a share `done` of the run is trained, if any."""
    return _SCHEDULES[str(_read("optimizer", text)[1]["schedule"])]


def draws(text: str) -> bool:
    """Return whether the model draws random numbers while it is trained."""
    return bool(_read("model", text)[1].get("dropout"))


def has_batch_norm(text: str) -> bool:
    """Return whether the model has statistics that a forward pass changes."""
    return _read("model", text)[1].get("norm") == "batch"


def _linear(shape: Shape, outputs: int) -> list[str]:
    return ["nn.Flatten()", _weights(math.prod(shape), outputs)]


def _mlp(
    shape: Shape, outputs: int, *, hidden: tuple[int, ...], norm: str, dropout: float
) -> list[str]:
    layers, width = ["nn.Flatten()"], math.prod(shape)
    for next_width in hidden:
        layers += [_weights(width, next_width), *_normed(norm, f"1d({next_width})"), "nn.ReLU()"]
        layers += _forgetting(dropout)
        width = next_width
    return [*layers, _weights(width, outputs)]


def _cnn(
    shape: Shape, outputs: int, *, channels: tuple[int, ...], norm: str, dropout: float
) -> list[str]:
    depth, height, width = shape
    layers = []
    for next_depth in channels:
        layers += [
            f"nn.Conv2d({depth}, {next_depth}, 3, padding=1)",
            *_normed(norm, f"2d({next_depth})"),
            "nn.ReLU()",
            "nn.MaxPool2d(2)",
        ]
        depth, height, width = next_depth, height // 2, width // 2
    head = ["nn.Flatten()", _weights(depth * height * width, 128), "nn.ReLU()"]
    return [*layers, *head, *_forgetting(dropout), _weights(128, outputs)]


def _normed(norm: str, over: str) -> list[str]:
    return [f"nn.BatchNorm{over}"] if norm == "batch" else []


def _forgetting(dropout: float) -> list[str]:
    return [f"nn.Dropout({dropout!r})"] if dropout else []


def _weights(inputs: int, outputs: int) -> str:
    return f"nn.Linear({inputs}, {outputs})"


_MODELS: Mapping[str, Callable[..., list[str]]] = {"linear": _linear, "mlp": _mlp, "cnn": _cnn}
_SCHEDULES = {
    "constant": "",
    "linear": "lr * (1 - done)",
    "cosine": "lr * ((1 + math.cos(math.pi * done)) / 2)",
}
_OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}


def _read(what: str, text: str) -> tuple[str, dict[str, Any]]:
    choice = Choice.read(what, text)
    return choice.name, read_options(find(what, choice.name), choice.options)
