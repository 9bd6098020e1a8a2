"""GPUs that are the CPU: their tensors only say otherwise, and do what those of a GPU do not.

`with apple():` makes "mps" a device without float64, `with nvidia(count):` as many CUDA devices.
Each tensor there has one on the CPU, which computes, and so does what is computed from them, until
it is copied to the CPU. As on a GPU, tensors of two devices do not compute with each other, and a
copy to the CPU that is not waited for has arbitrary numbers.

`with graphs():` compiles nothing, and lets the passes of a step overwrite what those of the step
before left, as CUDA graphs do.
"""

import inspect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch._dynamo import eval_frame
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

MPS, CPU = torch.device("mps"), torch.device("cpu")
_ABSENT = (torch.float64, torch.complex128)
_COPIES = ("aten::copy_", "aten::_to_copy", "aten::_foreach_copy_")
_INDEXED = ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_")
"""They take indices of the CPU."""


class DeviceTensor(Tensor):
    """A tensor on a device."""

    inner: Tensor
    place: torch.device

    @staticmethod
    def __new__(cls, inner: Tensor, place: torch.device) -> "DeviceTensor":
        is_there = place.type != "mps" or inner.dtype not in _ABSENT
        assert is_there, f"there is no {inner.dtype} on this device"
        made = Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(),
            dtype=inner.dtype, device=CPU,
        )  # fmt: skip
        made.inner, made.place = inner, place
        return made

    @property
    def device(self) -> torch.device:
        return self.place

    @property
    def is_cpu(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"DeviceTensor({self.inner!r}, {self.place})"

    def __format__(self, form: str) -> str:
        return format(self.inner.item(), form)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        place = _common_place(func, tree_leaves((args, kwargs)))
        inner_args, inner_kwargs = tree_map(_inner, (args, kwargs))
        found = func(*inner_args, **inner_kwargs)
        outer = tree_map(lambda one: cls(one, place) if isinstance(one, Tensor) else one, found)
        if isinstance(args[0], Tensor) and not isinstance(args[0], cls) and found is args[0]:
            return found  # PyTorch's own, written to in place
        return return_and_correct_aliasing(func, args, kwargs, outer)


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, DeviceTensor) else value


def _common_place(func: Any, values: list[Any]) -> torch.device:
    """Return the device of these arguments; RuntimeError, as PyTorch's, if there are two."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    there = [tensor.place for tensor in tensors if isinstance(tensor, DeviceTensor)]
    name = func._schema.name
    on_host = [one.device for one in tensors if not isinstance(one, DeviceTensor) and one.dim()]
    may_mix = name in _COPIES or (name in _INDEXED and isinstance(tensors[0], DeviceTensor))
    places = {str(place) for place in (*there, *on_host)}
    if len(places) > 1 and not may_mix:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found {places} ({name})"
        )
    return there[0]


class _Devices(TorchFunctionMode):
    """Make tensors on devices of a type, and copy tensors there and back."""

    def __init__(self, made: Any, kind: str) -> None:
        super().__init__()
        self._made, self._kind = made, kind

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        names = [*map(_name, (*args[1:], *kwargs.values()))]
        there = next((name for name in names if name.partition(":")[0] == self._kind), "")
        if isinstance(args[0] if args else None, DeviceTensor):
            if func in (Tensor.cpu, Tensor.tolist) or (func is Tensor.to and "cpu" in names):
                found = func(args[0].inner.clone(), *args[1:], **kwargs)
                return _arbitrary(found) if kwargs.get("non_blocking") else found
            if func is functional.one_hot:  # C++ makes its classes on the CPU
                return DeviceTensor(func(args[0].inner, *args[1:], **kwargs), args[0].place)
        elif not there or func is torch.device:
            return func(*args, **kwargs)
        args, kwargs = tree_map(lambda one: CPU if there and _name(one) == there else one,
                                (args, kwargs))  # fmt: skip
        found = func(*args, **kwargs)
        if not there or isinstance(found, DeviceTensor):
            return found
        return self._made(found.detach().clone(), there)


def _name(value: Any) -> str:
    return str(value) if isinstance(value, torch.device | str) else ""


def _arbitrary(copy: Tensor) -> Tensor:
    """Return a copy whose numbers have not come yet."""
    is_float = copy.is_floating_point() or copy.is_complex()
    return copy.fill_(float("nan") if is_float else torch.iinfo(copy.dtype).max)


@contextmanager
def _overwriting() -> Iterator[None]:
    """Let a module take new weights where it is moved, since these are of another class."""
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        yield
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)


@contextmanager
def apple() -> Iterator[None]:
    """Have one of Apple's GPUs in the block."""
    with (
        mock.patch.object(torch.backends.mps, "is_available", return_value=True),
        mock.patch.object(torch.mps, "get_rng_state", torch.get_rng_state),
        mock.patch.object(torch.mps, "set_rng_state", torch.set_rng_state),
        mock.patch.object(torch.mps, "manual_seed"),
        _Devices(lambda inner, _: DeviceTensor(inner, MPS), "mps"),
        _overwriting(),
    ):
        yield


@dataclass
class Cuda:
    """What is asked of `torch.cuda`, in order: which device is used, and for what."""

    count: int
    free_bytes: int = 1 << 40
    current: int = 0
    asked: list[tuple[str, int]] = field(default_factory=list)

    def set_device(self, device: torch.device) -> None:
        self.current = self._index(device)
        self._note("set_device", self.current)

    def get_rng_state(self, device: torch.device) -> Tensor:
        self._note("get_rng_state", self._index(device))
        return torch.get_rng_state()

    def set_rng_state(self, state: Tensor, device: torch.device) -> None:
        assert type(state) is Tensor, "it is set from the CPU"
        assert (state.dtype, state.dim()) == (torch.uint8, 1)
        self._note("set_rng_state", self._index(device))

    def made(self, inner: Tensor, name: str) -> DeviceTensor:
        number = int(name.partition(":")[2] or self.current)
        self._note("tensor", number)
        return DeviceTensor(inner, torch.device("cuda", number))

    def mem_get_info(self, device: torch.device) -> tuple[int, int]:
        self._note("mem_get_info", self._index(device))
        return self.free_bytes, 1 << 40

    def event(self, *, enable_timing: bool) -> "_Event":
        assert enable_timing
        return _Event(self)

    def _index(self, device: torch.device) -> int:
        assert device.type == "cuda"
        return device.index

    def _note(self, what: str, number: int) -> None:
        assert number < self.count, f"there is no device cuda:{number}"
        self.asked.append((what, number))


class _Event:
    """An event of the device that is the current one when it is recorded."""

    def __init__(self, cuda: Cuda) -> None:
        self._cuda, self._at = cuda, -1

    def record(self) -> None:
        self._cuda._note("event", self._cuda.current)
        self._at = len(self._cuda.asked)

    def synchronize(self) -> None:
        assert self._at >= 0

    def elapsed_time(self, end: "_Event") -> float:
        return float(end._at - self._at)


def _by_place(grouped: Any) -> Any:
    """Return PyTorch's grouping of tensors by device and dtype, with the devices they say."""

    def by_place(*arguments: Any) -> dict[Any, Any]:
        return {
            (group[0][0][0].device, dtype): group
            for (_, dtype), group in grouped(*arguments).items()
        }

    return by_place


@contextmanager
def nvidia(count: int = 2, free_bytes: int = 1 << 40) -> Iterator[Cuda]:
    """Have CUDA devices in the block; yield what is asked of them."""
    cuda, settings = Cuda(count, free_bytes), torch.are_deterministic_algorithms_enabled()
    names = {
        "is_available": lambda: True, "device_count": lambda: count,
        "get_device_name": lambda _: "a CPU", "get_device_capability": lambda _: (9, 0),
        "Event": cuda.event, "is_current_stream_capturing": lambda: False,
        **{name: getattr(cuda, name) for name in
           ("set_device", "get_rng_state", "set_rng_state", "mem_get_info")},
    }  # fmt: skip
    with ExitStack() as stack:
        for name, function in names.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, function))
        stream = SimpleNamespace(is_capturing=lambda: False)
        stack.enter_context(
            mock.patch.object(torch.accelerator, "current_stream", return_value=stream)
        )
        grouped = _by_place(torch._C._group_tensors_by_device_and_dtype)
        stack.enter_context(
            mock.patch.object(torch._C, "_group_tensors_by_device_and_dtype", grouped)
        )
        for name in ("get_rng_state_all", "set_rng_state_all"):
            stack.enter_context(mock.patch.object(torch.cuda, name, side_effect=AssertionError))
        stack.callback(setattr, torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)
        stack.callback(torch.use_deterministic_algorithms, settings)
        stack.enter_context(_Devices(cuda.made, "cuda"))
        stack.enter_context(_overwriting())
        yield cuda


@dataclass
class Graphs:
    """What is asked of `torch.compile`, and steps that overwrite what the one before left."""

    modes: list[str | None] = field(default_factory=list)
    marks: int = 0
    replays: int = 0
    _left: list[Tensor] = field(default_factory=list)
    """Outputs and gradients of the step that was marked last."""
    _is_over: bool = False

    def compile(self, called: Any, *, dynamic: bool, mode: str | None) -> Any:
        assert not dynamic
        self.modes.append(mode)
        if mode != "reduce-overhead":
            return called
        model = inspect.getclosurevars(called).nonlocals["call"].__self__
        for weight in model.parameters():
            weight.register_post_accumulate_grad_hook(lambda one: self._left.append(one.grad))
        return partial(self._replay, model)

    def mark(self) -> None:
        self.marks += 1
        self._is_over = True

    def _replay(self, model: nn.Module, *inputs: Any) -> Any:
        if eval_frame._stance.stance == "force_eager":
            return model._call_impl(*inputs)
        self.replays += 1
        if self._is_over:
            for tensor in self._left:
                tensor.detach().fill_(float("nan"))
            self._left, self._is_over = [], False
        output = model._call_impl(*inputs)
        self._left.append(output.detach())
        return output


@contextmanager
def graphs() -> Iterator[Graphs]:
    """Have CUDA graphs in the block; yield what is asked of them."""
    asked = Graphs()
    with (
        mock.patch.object(torch, "compile", asked.compile),
        mock.patch.object(torch.compiler, "cudagraph_mark_step_begin", asked.mark),
    ):
        yield asked
