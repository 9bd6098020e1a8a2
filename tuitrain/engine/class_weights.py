"""Weights of the classes in the losses: what `--class-weights` stands for."""

from __future__ import annotations

import torch

from tuitrain.core.errors import Refused, WrongUse
from tuitrain.core.safe import safe
from tuitrain.core.values import BALANCED, ClassWeights
from tuitrain.engine.data import Dataset
from tuitrain.engine.known_targets import known_targets


def class_weights(text: str, data: Dataset) -> tuple[float, ...]:
    """Return a weight for each class of the data, by an option's text.

    Balanced ones are those of scikit-learn, samples / (classes * samples of the class), to six
    digits. Raises Refused where there are no classes, WrongUse for another number of weights.
    """
    count = data.class_count
    if not count:
        raise Refused(
            f"--class-weights is for classes, and this task is {data.kind or 'of no kind'}"
        )
    if text == BALANCED:
        return _balanced(data, count)
    weights = ClassWeights.numbers(text)
    if len(weights) != count:
        raise WrongUse(
            f"--class-weights {safe(text)} has {len(weights)} of the {count} that the classes need"
            + (f": {safe(', '.join(data.classes))}" if data.classes else "")
        )
    return weights


def _balanced(data: Dataset, count: int) -> tuple[float, ...]:
    targets = known_targets(data.train)
    if targets is None:
        raise Refused(
            "the classes of these samples are not known before they are read; give the weights, "
            "such as --class-weights 1,2, or the dataset an attribute `targets`"
        )
    counts = torch.bincount(targets.flatten().long(), minlength=count).tolist()
    if 0 in counts:
        missing = dict(enumerate(data.classes)).get(counts.index(0), str(counts.index(0)))
        raise Refused(f"no sample of the class {safe(missing)} is trained: balanced has no weight")
    return tuple(float(f"{sum(counts) / (count * samples):.6g}") for samples in counts)


def described(weights: tuple[float, ...], data: Dataset) -> str:
    """Return one line on the weights."""
    names = data.classes or map(str, range(len(weights)))
    pairs = zip(names, weights, strict=True)
    return "class weights: " + ", ".join(f"{safe(name)} {weight:g}" for name, weight in pairs)
