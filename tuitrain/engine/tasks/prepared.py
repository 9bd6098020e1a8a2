"""Data sets of scikit-learn, prepared once on a machine.

Importing scikit-learn takes as long as importing PyTorch; reading the tensors that were made with
it takes milliseconds.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_path

from tuitrain.core.files import whole
from tuitrain.engine.data import Dataset, Samples

_DIGEST_BYTES = hashlib.sha256().digest_size
_MADE_WITH = ("tuitrain.engine.data", "tuitrain.engine.tasks.tables")


def prepared(module: str, load: Callable[[], Dataset], *, folder: Path | None = None) -> Dataset:
    """Return what `load`, a function of `module`, returned on this machine before, or does now.

    It is kept in `folder`, by default in the platform's folder for caches, under the digest of the
    code that makes it. A file that cannot be read, or is not what was written, is made anew.
    """
    folder = folder or user_cache_path("tuitrain", appauthor=False) / "prepared"
    file = folder / f"{module.rpartition('.')[2]}-{_code_digest(module)}.pt"
    with suppress(OSError, ValueError):
        return _read(file)
    data = load()
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(file, data)
    return data


def _code_digest(module: str) -> str:
    digest = hashlib.sha256(f"{version('scikit-learn')} {torch.__version__}".encode())
    for name in (module, *_MADE_WITH):
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        digest.update(Path(spec.origin).read_bytes())
    return digest.hexdigest()[:16]


def _write(file: Path, data: Dataset) -> None:
    state = {field.name: _plain(getattr(data, field.name)) for field in fields(data)}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    with whole(file) as opened:
        opened.write(hashlib.sha256(content).digest() + content)


def _read(file: Path) -> Dataset:
    """Return the data set; OSError or ValueError if the file is not one that was written whole."""
    content = file.read_bytes()
    digest, content = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError(f"{file} is damaged")
    state: Mapping[str, Any] = torch.load(io.BytesIO(content), weights_only=True)
    return Dataset(**{name: _samples_or_plain(value) for name, value in state.items()})


def _plain(value: object) -> object:
    return [value.inputs, value.targets] if isinstance(value, Samples) else value


def _samples_or_plain(value: Any) -> Any:
    return Samples(*value) if isinstance(value, list) else value
