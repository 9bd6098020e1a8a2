"""Check batches and outputs against the kind of problem; say in one sentence what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from tuitrain.core.errors import WrongUse
from tuitrain.engine.data import Dataset, Samples, Source
from tuitrain.engine.streaming import why_no_indices


def check_arrays(data: Dataset, what: str) -> None:
    """Raise WrongUse for arrays that cannot be trained on; batches of streams are checked later.

    `what` is train or val.
    """
    source = data.train if what == "train" else data.val
    if not isinstance(source, Samples):
        return
    check_batch(source.inputs, source.targets, data, what)
    is_of_classes = data.kind in ("multiclass", "binary")
    if what == "train" and is_of_classes and bool((source.targets == source.targets[0]).all()):
        raise WrongUse(
            f"{what}: every target is {int(source.targets[0])}: there is nothing to tell apart"
        )


def check_batch(inputs: Any, targets: Tensor, data: Dataset, what: str) -> None:
    """Raise WrongUse for a batch, or for arrays, of `what` that the problem cannot have."""
    reason = next(filter(None, _mistakes(inputs, targets, data)), None)
    if reason is not None:
        raise WrongUse(f"{what}: {reason}")


def check_output(output: Any, targets: Tensor, data: Dataset) -> None:
    """Raise WrongUse for an output of the model that the problem cannot have."""
    if not isinstance(output, Tensor):
        if data.kind is None:
            raise WrongUse(f"the model returns {type(output).__name__}, and must return one tensor")
        raise WrongUse(f"the model returns {type(output).__name__}, not a tensor")
    count = len(targets)
    wanted = _output_shapes(count, data)
    if wanted and tuple(output.shape) not in wanted:
        raise WrongUse(_about_shape(tuple(output.shape), wanted, data))
    if wanted and not output.is_floating_point():
        raise WrongUse(f"the model returns {dtype_name(output.dtype)}, not floating-point numbers")
    if output.dim() == 0 or len(output) != count:
        raise WrongUse(
            f"the model returns shape {tuple(output.shape)} for {count} samples: its first "
            "dimension must be the samples; squeeze() drops it for a batch of one, squeeze(1) not"
        )


def described(value: Any) -> str:
    """Return shapes and dtypes of a tensor, or of a structure of tensors."""
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)} {dtype_name(value.dtype)}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {described(part)}" for key, part in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "(" + ", ".join(map(described, value)) + ")"
    return type(value).__name__


def dtype_name(dtype: torch.dtype) -> str:
    """Return a dtype as users write it: float32, int64."""
    return str(dtype).removeprefix("torch.")


def tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of a structure."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tensors(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from tensors(part)


def _mistakes(inputs: Any, targets: Tensor, data: Dataset) -> Iterator[str | None]:
    if not len(targets):
        yield "a batch has no samples"
    missing = sum(int(tensor.isnan().sum()) for tensor in tensors(inputs))
    if missing:
        yield f"{missing} of the inputs are NaN: fill them, or leave their samples out"
    yield from _about_targets(targets, data)


def _about_targets(targets: Tensor, data: Dataset) -> Iterator[str | None]:
    if data.kind is None:
        return
    if targets.is_floating_point() and bool(targets.isnan().any()):
        yield f"{int(targets.isnan().sum())} of the targets are NaN"
    match data.kind:
        case "multiclass":
            yield from _about_indices(targets, data)
        case "multilabel":
            yield from _about_labels(targets, (len(targets), data.outputs))
        case "binary":
            yield from _about_labels(targets, (len(targets),))
        case _:
            yield _about_shape_of_targets(targets, (len(targets),))
            if targets.dtype != torch.float32:
                dtype = dtype_name(targets.dtype)
                yield f"the targets are {dtype} and must be float32: write .float()"
            if bool(targets.isinf().any()):
                yield "some of the targets are infinite"


def _about_indices(targets: Tensor, data: Dataset) -> Iterator[str | None]:
    if targets.dtype != torch.int64:
        dtype = dtype_name(targets.dtype)
        yield f"the targets are {dtype}, and class indices must be int64: write .long()"
    yield _about_shape_of_targets(targets, (len(targets),))
    yield why_no_indices(targets, data.outputs)


def _about_labels(targets: Tensor, shape: tuple[int, ...]) -> Iterator[str | None]:
    if targets.dtype != torch.float32:
        dtype = dtype_name(targets.dtype)
        yield f"the targets are {dtype}, and 0 or 1 must be float32: write .float()"
    yield _about_shape_of_targets(targets, shape)
    others = targets[(targets != 0) & (targets != 1)]
    if len(others):
        yield f"there is a target {float(others[0]):g}, and targets must be 0 or 1"


def _about_shape_of_targets(targets: Tensor, shape: tuple[int, ...]) -> str | None:
    if tuple(targets.shape) == shape:
        return None
    mend = ": write .squeeze(1)" if tuple(targets.shape) == (*shape, 1) else ""
    actual = tuple(targets.shape)
    return f"the targets of {len(targets)} samples have shape {actual}, not {shape}{mend}"


def _output_shapes(count: int, data: Dataset) -> tuple[tuple[int, ...], ...]:
    """Return the shapes that an output may have; none: any."""
    match data.kind:
        case None:
            return ()
        case "multiclass" | "multilabel":
            return ((count, data.outputs),)
        case _:
            return ((count, 1), (count,))


def _about_shape(shape: tuple[int, ...], wanted: tuple[tuple[int, ...], ...], data: Dataset) -> str:
    said = f"the model returns shape {shape}, and a {data.kind} task needs {wanted[0]}"
    if len(shape) == 2 and len(wanted[0]) == 2 and shape[0] == wanted[0][0]:
        return f"{said}: give its last layer {wanted[0][1]} outputs"
    return said


def first_samples(value: Any, count: int) -> Any:
    """Return the first samples of a batch, or of a structure of tensors whose rows are samples."""
    return rows(value, slice(count))


def rows(value: Any, part: slice) -> Any:
    """Return some samples of a batch, or of a structure of tensors whose rows are samples."""
    if isinstance(value, Tensor):
        return value[part]
    if isinstance(value, Mapping):
        return {key: rows(item, part) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(rows(item, part) for item in value))
    if isinstance(value, tuple | list):
        return type(value)(rows(item, part) for item in value)
    return value


def same(one: Any, other: Any) -> bool:
    """Return whether two batches are equal to the bit; NaN equals itself."""
    first, second = list(tensors(one)), list(tensors(other))
    return len(first) == len(second) and all(
        a.shape == b.shape and a.dtype == b.dtype and torch.equal(a.nan_to_num(), b.nan_to_num())
        for a, b in zip(first, second, strict=True)
    )


def batch_of(source: Source, size: int, seed: int, *, at: int = 0) -> tuple[Any, Tensor]:
    """Return a batch of the first epoch of a training source, reached by skipping."""
    batches = source.epoch(size, seed=seed, number=0, skip=at)
    try:
        return next(batches)
    finally:
        batches.close()  # type: ignore[attr-defined]  # each is a generator
