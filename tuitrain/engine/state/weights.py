"""Read, write and digest a model's weights.

The digest is over the entries of a `state_dict` in name order: for each its name, dtype (without
"torch.") and shape (sizes joined by commas), in UTF-8 and each ended by a zero byte, then its
contiguous little-endian bytes.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tuitrain.core.errors import Refused, TuitrainError, WrongUse
from tuitrain.core.files import atomic_path, read_plain
from tuitrain.core.safe import safe
from tuitrain.engine.finite_state import are_finite

_SAVE = "torch.save(model.state_dict(), FILE) writes a file of weights"


def load(model: nn.Module, path: Path, given: str) -> None:
    """Load the weights in a file, which the user knows as `given`.

    Refused if they do not fit, or if one is not finite that is in the model as it was made.
    """
    own, weights = without_wrappers(model.state_dict()), weights_of(path, given)
    for name, tensor in weights.items():
        if name in own and are_finite([own[name]]) and not are_finite([tensor]):
            raise Refused(f"the weights in {safe(given)} are not finite: {safe(name)}")
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        raise Refused(
            f"the weights in {safe(given)} do not fit the model: "
            f"{safe(first[0].strip().rstrip('.'))}; choose the --model that they are of"
        ) from None


def weights_of(path: Path, given: str) -> dict[str, torch.Tensor]:
    """Return the model's weights from a checkpoint or a saved `state_dict`.

    Raises WrongUse, which names it as it was `given`, for any other file.
    """
    try:
        with read_plain(path) as file:
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - torch raises many kinds for what is no checkpoint
        kind = type(error).__name__
        raise WrongUse(f"cannot read weights from {safe(given)} ({kind}); {_SAVE}") from None
    weights = weights_in(content) if isinstance(content, dict) else {}
    if not weights or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise WrongUse(f"{safe(given)} holds no weights; {_SAVE}")
    return weights


def weights_in(content: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return the weights in a checkpoint, under the names that they have without wrappers."""
    keys = ("model", "state_dict", "model_state_dict")
    held = next((content[key] for key in keys if isinstance(content.get(key), dict)), content)
    return without_wrappers(held)


def save(weights: Mapping[str, torch.Tensor], target: Path) -> None:
    """Write a plain `state_dict` atomically and read it back; TuitrainError if that fails."""
    plain = without_wrappers(weights)
    try:
        with atomic_path(target) as path:
            with path.open("xb") as file:
                torch.save(plain, file)
            if state_sha256(weights_of(path, str(target))) != state_sha256(plain):
                raise TuitrainError(f"{safe(target)} differs from what was written")
    except (OSError, RuntimeError) as error:  # torch makes a RuntimeError of a full disk
        reason = error.strerror if isinstance(error, OSError) else "is the disk full?"
        raise TuitrainError(f"cannot write {safe(target)}: {safe(reason)}") from None


def without_wrappers(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights under the names that they have without DDP and `torch.compile`.

    A compiled part adds `_orig_mod.` to names, DDP a `module.` at the beginning of all.
    """
    unwrapped = {_compiled(str(name)): tensor for name, tensor in weights.items()}
    while unwrapped and all(name.startswith("module.") for name in unwrapped):
        unwrapped = {name.removeprefix("module."): tensor for name, tensor in unwrapped.items()}
    return unwrapped


def _compiled(name: str) -> str:
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def weights_sha256(model: nn.Module) -> str:
    """Return the digest of a model's weights, by which two runs are compared."""
    return state_sha256(without_wrappers(model.state_dict()))


def state_sha256(weights: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 of a `state_dict`: of names, dtypes, shapes and little-endian bytes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        dtype, shape = str(tensor.dtype).removeprefix("torch."), ",".join(map(str, tensor.shape))
        for text in (name, dtype, shape):
            digest.update(text.encode() + b"\0")
        data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        if sys.byteorder == "big":
            data = data.reshape(-1, tensor.element_size()).flip(1)
        digest.update(data.numpy().tobytes())
    return digest.hexdigest()
