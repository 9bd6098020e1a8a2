"""A device like Apple's GPUs, which has no float64. It is the CPU: its tensors only say otherwise.

`with apple():` makes "mps" such a device. Each of its tensors has one on the CPU, which computes,
and so does what is computed from them, until it is copied to the CPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_map

MPS, CPU = torch.device("mps"), torch.device("cpu")
_ABSENT = (torch.float64, torch.complex128)


class AppleTensor(Tensor):
    """A tensor on the device."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "AppleTensor":
        assert inner.dtype not in _ABSENT, f"there is no {inner.dtype} on this device"
        made = Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(),
            dtype=inner.dtype, device=CPU,
        )  # fmt: skip
        made.inner = inner
        return made

    @property
    def device(self) -> torch.device:
        return MPS

    def __repr__(self) -> str:
        return f"AppleTensor({self.inner!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        inner_args, inner_kwargs = tree_map(_inner, (args, kwargs or {}))
        found = func(*inner_args, **inner_kwargs)
        outer = tree_map(lambda one: cls(one) if isinstance(one, Tensor) else one, found)
        if isinstance(args[0], Tensor) and not isinstance(args[0], cls) and found is args[0]:
            return found  # PyTorch's own, written to in place
        return return_and_correct_aliasing(func, args, kwargs or {}, outer)


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, AppleTensor) else value


class _Device(TorchFunctionMode):
    """Make tensors on the device, and copy tensors there and back."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        places = {_place(one) for one in (*args[1:], *kwargs.values())}
        if isinstance(args[0] if args else None, AppleTensor):
            if func in (Tensor.cpu, Tensor.tolist) or (func is Tensor.to and "cpu" in places):
                return func(args[0].inner.clone(), *args[1:], **kwargs)
        elif "mps" not in places or func is torch.device:
            return func(*args, **kwargs)
        args, kwargs = tree_map(lambda one: CPU if _place(one) == "mps" else one, (args, kwargs))
        found = func(*args, **kwargs)
        if "mps" not in places or isinstance(found, AppleTensor):
            return found
        return AppleTensor(found.detach().clone())


def _place(value: Any) -> str:
    if isinstance(value, torch.device):
        return value.type
    return value if isinstance(value, str) else ""


@contextmanager
def apple() -> Iterator[None]:
    """Have such a device in the block."""
    with (
        mock.patch.object(torch.backends.mps, "is_available", return_value=True),
        mock.patch.object(torch.mps, "get_rng_state", torch.get_rng_state),
        mock.patch.object(torch.mps, "set_rng_state", torch.set_rng_state),
        mock.patch.object(torch.mps, "manual_seed"),
        _Device(),
    ):
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        try:
            yield
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(False)
