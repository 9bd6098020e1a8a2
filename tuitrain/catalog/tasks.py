"""The built-in tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tuitrain.catalog.entry import Entry
from tuitrain.core.problem import Kind, outputs_of


@dataclass(frozen=True, slots=True)
class Task(Entry):
    """A data set, its problem kind, and the default settings of its runs."""

    kind: Kind = "multiclass"
    classes: tuple[str, ...] = ()
    """Class names in the order of their indices; empty for regression."""
    model: str = "mlp"
    epochs: int = 40
    has_images: bool = False
    origin: str = "scikit-learn"
    """Where the data come from, unless they are downloaded."""
    is_downloaded: bool = False
    """True if the data are downloaded, or read from a folder; False if scikit-learn has them."""
    pace: float | None = None
    """Batches per second that the form suggests, slow enough to watch; None: unlimited."""

    @property
    def outputs(self) -> int:
        """Number of model outputs per sample."""
        return outputs_of(self.kind, self.classes)


_DIGITS = tuple("0123456789")
_CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
)  # fmt: skip
_PHOTOGRAPHED = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip

TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task(
            "digits",
            "tuitrain.engine.tasks.digits:digits",
            "1,797 handwritten digits, 8x8 pixels, ten classes; comes with scikit-learn",
            kind="multiclass",
            classes=_DIGITS,
            has_images=True,
            model="mlp:hidden=256-128",
            epochs=40,
            pace=60,
        ),
        Task(
            "breast-cancer",
            "tuitrain.engine.tasks.breast_cancer:breast_cancer",
            "569 tumours, 30 measurements, benign or malignant; comes with scikit-learn",
            kind="binary",
            classes=("malignant", "benign"),
            model="mlp:hidden=256-128",
            epochs=30,
            pace=60,
        ),
        Task(
            "diabetes",
            "tuitrain.engine.tasks.diabetes:diabetes",
            "442 patients, 10 measurements, disease progression; comes with scikit-learn",
            kind="regression",
            model="mlp:hidden=128",
            epochs=20,
            pace=60,
        ),
        Task(
            "moons",
            "tuitrain.engine.tasks.toys:moons",
            "1,000 points in a plane, on one of two half moons; drawn from a seed",
            origin="a fixed seed",
            kind="binary",
            classes=("upper", "lower"),
            model="mlp:hidden=32-32",
            epochs=60,
            pace=60,
        ),
        Task(
            "circles",
            "tuitrain.engine.tasks.toys:circles",
            "1,000 points in a plane, on one of two circles; drawn from a seed",
            origin="a fixed seed",
            kind="binary",
            classes=("outer", "inner"),
            model="mlp:hidden=32-32",
            epochs=60,
            pace=60,
        ),
        Task(
            "spirals",
            "tuitrain.engine.tasks.toys:spirals",
            "1,000 points in a plane, on one of two spirals; drawn from a seed",
            origin="a fixed seed",
            kind="binary",
            classes=("first", "second"),
            model="mlp:hidden=64-64-64",
            epochs=150,
            pace=60,
        ),
        Task(
            "sine",
            "tuitrain.engine.tasks.toys:sine",
            "500 numbers and their sine, with noise and outliers; drawn from a seed",
            origin="a fixed seed",
            kind="regression",
            model="mlp:hidden=64-64",
            epochs=150,
            pace=60,
        ),
        Task(
            "mnist",
            "tuitrain.engine.tasks.idx:mnist",
            "70,000 handwritten digits, 28x28 pixels, ten classes; 12 MB to download",
            classes=_DIGITS,
            model="mlp:hidden=256-128",
            epochs=10,
            has_images=True,
            is_downloaded=True,
        ),
        Task(
            "fashion-mnist",
            "tuitrain.engine.tasks.idx:fashion_mnist",
            "70,000 images of clothes, 28x28 pixels, ten classes; 31 MB to download",
            classes=_CLOTHES,
            model="mlp:hidden=256-128",
            epochs=10,
            has_images=True,
            is_downloaded=True,
        ),
        Task(
            "kmnist",
            "tuitrain.engine.tasks.idx:kmnist",
            "70,000 cursive Japanese characters, 28x28 pixels, ten classes; 21 MB to download",
            classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
            model="mlp:hidden=256-128",
            epochs=10,
            has_images=True,
            is_downloaded=True,
        ),
        Task(
            "cifar10",
            "tuitrain.engine.tasks.cifar10:cifar10",
            "60,000 small colour photographs, 32x32 pixels, ten classes; 170 MB to download",
            classes=_PHOTOGRAPHED,
            model="mlp:hidden=256-128",
            epochs=20,
            has_images=True,
            is_downloaded=True,
        ),
    )
}
