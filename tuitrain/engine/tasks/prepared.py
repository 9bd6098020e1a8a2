"""Cache the prepared tensors of scikit-learn's data sets on this machine.

Importing scikit-learn takes as long as importing PyTorch; reading the tensors takes milliseconds.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch

from tuitrain.core.cache import cache_folder
from tuitrain.core.files import atomic
from tuitrain.engine.data import Parts

_DIGEST_BYTES = hashlib.sha256().digest_size
_MADE_WITH = ("tuitrain.engine.data", "tuitrain.engine.tasks.normalise")


def prepared(place: str, load: Callable[[], Parts], *, folder: Path | None = None) -> Parts:
    """Return the result of `load`, the function at `place`, from the cache if it is there.

    The cache is `folder`, by default in the platform's cache folder, and its key a digest of the
    code that makes the tensors. A file that is missing, unreadable or damaged is written anew.
    """
    module, _, name = place.partition(":")
    folder = folder or cache_folder("prepared")
    file = folder / f"{name}-{_code_digest(module)}.pt"
    with suppress(OSError, ValueError):
        return _read(file)
    parts = load()
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(file, parts)
    return parts


def _code_digest(module: str) -> str:
    digest = hashlib.sha256(f"{version('scikit-learn')} {torch.__version__}".encode())
    for name in (module, *_MADE_WITH):
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        digest.update(Path(spec.origin).read_bytes())
    return digest.hexdigest()[:16]


def _write(file: Path, parts: Parts) -> None:
    buffer = io.BytesIO()
    torch.save(parts, buffer)
    content = buffer.getvalue()
    with atomic(file) as stream:
        stream.write(hashlib.sha256(content).digest() + content)


def _read(file: Path) -> Parts:
    """Return the tensors; OSError or ValueError if the file is missing, unreadable or damaged."""
    content = file.read_bytes()
    digest, content = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError(f"{file} is damaged")
    parts: Parts = torch.load(io.BytesIO(content), weights_only=True)
    return parts
