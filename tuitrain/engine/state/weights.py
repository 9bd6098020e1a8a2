"""Read, write and digest a model's weights.

The digest is over the entries of a `state_dict` in name order: for each its name, dtype (without
"torch.") and shape (sizes joined by commas), in UTF-8 and each ended by a zero byte, then its
contiguous little-endian bytes.
"""

from __future__ import annotations

import hashlib
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from tuitrain.core.errors import Refused, TuitrainError, WrongUse
from tuitrain.core.files import read_plain
from tuitrain.core.safe import safe


def load(model: nn.Module, path: Path) -> None:
    """Load the weights in a file into the model; Refused if they do not fit it."""
    try:
        model.load_state_dict(weights_of(path))
    except RuntimeError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        raise Refused(
            f"the weights in {safe(path.name)} do not fit the model: {safe(first[0].strip())}"
        ) from None


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    """Return the model's weights from a checkpoint or a saved `state_dict`.

    Raises WrongUse for any other file.
    """
    try:
        with read_plain(path) as file:
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - torch raises many kinds for what is no checkpoint
        raise WrongUse(f"cannot read weights from {safe(path)}: {type(error).__name__}") from None
    weights = content.get("model", content) if isinstance(content, dict) else None
    if not weights or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise WrongUse(f"{safe(path)} holds no weights")
    return dict(weights)


def save(weights: Mapping[str, torch.Tensor], target: Path) -> None:
    """Write a plain `state_dict` atomically and read it back; TuitrainError if that fails."""
    atomic_path = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with atomic_path.open("xb") as file:
            torch.save(dict(weights), file)
        if state_sha256(weights_of(atomic_path)) != state_sha256(weights):
            raise TuitrainError(f"{safe(target)} differs from what was written")
        atomic_path.rename(target)
    except (OSError, RuntimeError) as error:  # torch makes a RuntimeError of a full disk
        reason = error.strerror if isinstance(error, OSError) else "is the disk full?"
        raise TuitrainError(f"cannot write {safe(target)}: {safe(reason)}") from None
    finally:
        atomic_path.unlink(missing_ok=True)


def weights_sha256(model: nn.Module) -> str:
    """Return the digest of a model's weights, by which two runs are compared."""
    return state_sha256(model.state_dict())


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
