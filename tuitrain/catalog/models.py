"""The models of tuitrain itself."""

from __future__ import annotations

from collections.abc import Mapping

from tuitrain.catalog.entry_options import Between, Joined, Option
from tuitrain.catalog.model_entry import ModelEntry
from tuitrain.core.values import Integer, OneOf

_WIDTHS = Joined(Integer(1, 65_536))
_DROPOUT = Option(Between(0, 0.99), 0.0, "dropout probability")
_NORM = Option(OneOf("none", "batch"), "none", "normalisation of the activations: batch norm")

MODELS: Mapping[str, ModelEntry] = {
    model.name: model
    for model in (
        ModelEntry(
            "linear",
            "tuitrain.engine.models:linear",
            "One linear layer, the simplest baseline",
        ),
        ModelEntry(
            "mlp",
            "tuitrain.engine.models:mlp",
            "Fully connected layers with ReLU between them",
            options={
                "hidden": Option(_WIDTHS, (256, 128), "width of each hidden layer"),
                "norm": _NORM,
                "dropout": _DROPOUT,
            },
        ),
        ModelEntry(
            "cnn",
            "tuitrain.engine.models:cnn",
            "Two 3x3 convolutions with pooling, then a hidden layer; for images",
            options={
                "channels": Option(_WIDTHS, (32, 64), "channels of each convolution"),
                "norm": _NORM,
                "dropout": _DROPOUT,
            },
            needs_images=True,
        ),
        ModelEntry(
            "lenet",
            "tuitrain.engine.models:lenet",
            "LeNet-5 (Y. LeCun et al., 1998) with ReLU and maximum pooling; for images",
            needs_images=True,
            least_size=12,
        ),
    )
}
