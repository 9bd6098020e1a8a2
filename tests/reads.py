"""A CPU in an accelerator's place: sees whatever would make the host wait for the device."""

from contextlib import AbstractContextManager, ExitStack
from functools import partial

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
OPERATORS = {
    aten._local_scalar_dense.default,  # item, float, int, bool, an index, a format
    aten.equal.default,
    aten.masked_select.default,
    aten.nonzero.default,  # a mask as an index, too
    aten.unique_dim.default,
    aten._unique2.default,
    aten.bincount.default,
    aten.repeat_interleave.Tensor,
}
"""What asks a device for a value, or for a size that depends on values."""
METHODS = {"tolist", "numpy", "cpu", "__array__", "__dlpack__"}
"""What copies to the host: on a CPU itself no operator is called."""


class Reads(AbstractContextManager["Reads"]):
    """Counts them; what one of them does within itself is the same wait."""

    def __init__(self) -> None:
        self.count = 0
        self._is_inside = False
        self._modes = ExitStack()

    def __enter__(self) -> "Reads":
        self._modes.enter_context(_Operators(self))
        self._modes.enter_context(_Methods(self))
        return self

    def __exit__(self, *_: object) -> None:
        self._modes.close()

    def called(self, function, is_read: bool):
        if not is_read or self._is_inside:
            return function()
        self.count += 1
        self._is_inside = True
        try:
            return function()
        finally:
            self._is_inside = False


class _Operators(TorchDispatchMode):
    def __init__(self, reads: Reads) -> None:
        super().__init__()
        self._reads = reads

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        is_read = func in OPERATORS or (
            func is aten.index.Tensor
            and any(arg is not None and arg.dtype is torch.bool for arg in args[1])
        )
        return self._reads.called(partial(func, *args, **(kwargs or {})), is_read)


class _Methods(TorchFunctionMode):
    def __init__(self, reads: Reads) -> None:
        super().__init__()
        self._reads = reads

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        to_host = name == "to" and "cpu" in (*args[1:], (kwargs or {}).get("device"))
        is_read = name in METHODS or to_host
        return self._reads.called(partial(func, *args, **(kwargs or {})), is_read)
