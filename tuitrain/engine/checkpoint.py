"""Checkpoints: written beside, read back, and only then given their name.

Whatever interrupts a save, the file of that name is either whole or not there. torch loads a
file with a flipped byte without a murmur, so a checkpoint is trusted by its sha256 alone.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tuitrain.core.events import CheckpointSaved
from tuitrain.engine.training import Training


def save(run: Training, folder: Path, why: str) -> CheckpointSaved:
    """Write the run as it is between two batches; raises OSError or RuntimeError if it cannot."""
    target = folder / f"take{run.take}-step{run.step:08d}.pt"
    digest = _write(_state(run), target)
    return CheckpointSaved(
        run.take, run.step, run.epoch, why, target.name, target.stat().st_size, digest,
        weights_sha256(run.model),
    )  # fmt: skip


def weights_sha256(model: nn.Module) -> str:
    """Return the digest by which two trainings are compared.

    Over the `state_dict` in name order: for each entry its name, dtype and shape, in UTF-8 and each
    ended by a zero byte, then its contiguous little-endian bytes. The dtype is torch's name without
    "torch.", the shape its decimal sizes joined by commas.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        dtype, shape = str(tensor.dtype).removeprefix("torch."), ",".join(map(str, tensor.shape))
        for text in (name, dtype, shape):
            digest.update(text.encode() + b"\0")
        digest.update(_little_endian(tensor.detach().cpu().contiguous()))
    return digest.hexdigest()


def _little_endian(tensor: torch.Tensor) -> bytes:
    data = tensor.reshape(-1).view(torch.uint8).numpy()
    if sys.byteorder == "big":
        data = data.reshape(-1, tensor.element_size())[:, ::-1]
    return data.tobytes()


def _state(run: Training) -> dict[str, Any]:
    return {
        "model": run.model.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "position": {"take": run.take, "step": run.step, "epoch": run.epoch, "batch": run.batch},
        "settings": {"loss": run.loss_name, "pace": run.pace, "epochs": run.epochs},
        "rng": {
            "cpu": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if run.device.type == "cuda" else [],
        },
    }


def _write(state: dict[str, Any], target: Path) -> str:
    """Write `state` to `target` and return the sha256 of the file."""
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w+b") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        torch.load(beside, map_location="cpu", weights_only=True)
        beside.rename(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return digest
