"""What the PyTorch at hand is too old for; `make oldest` runs the tests with the oldest one."""

import pytest
import torch

from tuitrain import catalog


def since(*version: int) -> pytest.MarkDecorator:
    """Skip a test where PyTorch is older, and has not what it needs."""
    named = ".".join(map(str, version))
    return pytest.mark.skipif(torch.__version__ < version, reason=f"needs PyTorch {named}")


MUON, SHARDED = since(2, 9), since(2, 8)
USABLE_OPTIMIZERS = [
    pytest.param(name, marks=[MUON] if name == "muon" else [], id=name)
    for name in catalog.OPTIMIZERS
]
