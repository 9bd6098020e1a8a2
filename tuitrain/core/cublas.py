"""The variable by which cuBLAS, which multiplies matrices on a GPU, gives the same bits each time.

It is read with the first use of CUDA. A trainer sets it before PyTorch is imported, when it does
not know its run yet, and takes it out again for a run that need not repeat exactly.
"""

from __future__ import annotations

import os

VARIABLE, EXACT = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
_GIVEN = os.environ.get(VARIABLE)
"""The user's own, which stays."""


def repeat() -> None:
    """Let cuBLAS repeat exactly, unless the user has said how."""
    os.environ.setdefault(VARIABLE, EXACT)


def repeat_or_not() -> None:
    """Let cuBLAS do as the user has said, or as it likes."""
    if _GIVEN is None:
        os.environ.pop(VARIABLE, None)
