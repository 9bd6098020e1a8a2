"""Devices: which exist, how time is measured on them, and the one place that waits for them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Protocol, SupportsFloat

import torch
from torch import Tensor

from tuitrain.core import cublas
from tuitrain.core.errors import DeviceAbsent
from tuitrain.engine.gpus import Gpu, listed_gpus


def present() -> list[str]:
    """Return the names of the devices of this machine, the fastest kind first."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*cuda, *mps, "cpu"]


class Chosen(NamedTuple):
    """A device, and why it was chosen; empty where there was no choice."""

    device: torch.device
    why: str = ""


def choose(name: str) -> Chosen:
    """Return the device of that name; DeviceAbsent if absent.

    `auto` is the first present, and of several GPUs the one with the most free memory.
    """
    names = present()
    if name == "auto":
        gpus = [one for one in names if one.startswith("cuda")]
        return freest(gpus, listed_gpus()) if len(gpus) > 1 else Chosen(torch.device(names[0]))
    wanted = {"cuda": "cuda:0"}.get(name, name)
    if wanted not in names:
        raise DeviceAbsent(f"no device {name} here; there is: {', '.join(names)}")
    return Chosen(torch.device(wanted))


def freest(names: Sequence[str], gpus: Sequence[Gpu] | None) -> Chosen:
    """Return the device with the most free memory, the first of equals.

    `gpus` are the states of those named, in order; None if they are unknown, as those of AMD.
    """
    if gpus is None or len(gpus) != len(names) or any(gpu.free_bytes is None for gpu in gpus):
        return Chosen(torch.device(names[0]), f"auto: {names[0]}, the first of {len(names)} GPUs")
    free = [gpu.free_bytes or 0 for gpu in gpus]
    name = names[free.index(max(free))]
    return Chosen(
        torch.device(name),
        f"auto: {name} has the most free memory of {len(names)} GPUs, {max(free) / 1e9:.1f} GB",
    )


def use(device: torch.device) -> None:
    """Make this the default device, which the events that time steps use."""
    if device.type == "cuda":
        torch.cuda.set_device(device)


def repeat_exactly(device: torch.device, *, asked: bool | None, is_exact: bool) -> None:
    """Let operations of a GPU give the same bits in every run, or take the fastest ones.

    A CPU's always do. Where the user `asked` for it, an operation that cannot raises; otherwise it
    warns in the log. Call it before CUDA is used: cuBLAS reads its variable then.
    """
    if device.type != "cuda":
        return
    cublas.repeat() if is_exact else cublas.repeat_or_not()
    torch.use_deterministic_algorithms(is_exact, warn_only=not asked)
    # what it would fill, nothing reads before it is written
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # torch's has no types
    torch.backends.cudnn.benchmark = not is_exact


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device; the host waits only for a copy to itself.

    It can read such a copy at once, so its numbers must have come.
    """
    return tensor.to(device, non_blocking=device.type != "cpu")


def has_room(device: torch.device, size: int) -> bool:
    """Return whether so many bytes leave half of the memory that a CUDA device has free.

    True for other devices, whose memory the host shares.
    """
    return device.type != "cuda" or 2 * size <= torch.cuda.mem_get_info(device)[0]


def precision(device: torch.device) -> torch.dtype:
    """Return the dtype for sums on a device: float64, except on Apple's GPUs, which lack it."""
    return torch.float32 if device.type == "mps" else torch.float64


def read(scalars: Sequence[SupportsFloat]) -> list[float]:
    """Return the values of numbers and device scalars; waits once for each device."""
    values: list[Any] = list(scalars)
    others = [pair for pair in enumerate(scalars) if not isinstance(pair[1], float)]
    by_device: dict[torch.device, dict[int, Tensor]] = {}
    for index, scalar in others:  # nearly none on the CPU
        if isinstance(scalar, Tensor):
            by_device.setdefault(scalar.device, {})[index] = scalar
        else:
            values[index] = float(scalar)
    for tensors in by_device.values():
        for index, value in zip(tensors, torch.stack([*tensors.values()]).tolist(), strict=True):
            values[index] = value
    return values


class Stopwatch(Protocol):
    """Measures the time that a device takes, without synchronising the host with it."""

    def mark(self) -> Any:
        """Return a reading for `microseconds`."""

    def microseconds(self, marks: Sequence[Any]) -> list[int]:
        """Return the six times of a step in whole microseconds; call it when its work is done.

        They are the times between successive readings. Where a step has several batches, those of
        forward, loss and backward are added up.
        """


class HostStopwatch:
    """Times devices whose work the host waits for."""

    mark = staticmethod(time.perf_counter_ns)

    def microseconds(self, marks: Sequence[int]) -> list[int]:
        """Return the times of a step."""
        return _added_up([(after - before) // 1000 for before, after in pairwise(marks)])


class CudaStopwatch:
    """Times CUDA by device events; the host's clock would time only the launches."""

    def mark(self) -> torch.cuda.Event:
        """Return an event recorded in the device's stream."""
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch's has no types
        event.record()
        return event

    def microseconds(self, marks: Sequence[torch.cuda.Event]) -> list[int]:
        """Return the times of a step."""
        marks[-1].synchronize()  # does not wait: the losses were read before
        times = [int(before.elapsed_time(after) * 1000) for before, after in pairwise(marks)]
        return _added_up(times)


def _added_up(times: list[int]) -> list[int]:
    """Return the six times of a step of any number of batches."""
    if len(times) == 6:
        return times
    fetch, zero_grad, *batches, step = times
    return [fetch, zero_grad, *(sum(batches[part::3]) for part in range(3)), step]


def stopwatch(device: torch.device) -> Stopwatch:
    """Return the stopwatch for that device."""
    return CudaStopwatch() if device.type == "cuda" else HostStopwatch()


def environment(device: torch.device) -> dict[str, str]:
    """Return what bit-for-bit repetition depends on."""
    return {
        "torch": torch.__version__,
        "threads": str(torch.get_num_threads()),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        **(_cuda() if device.type == "cuda" else {}),
    }


def _cuda() -> dict[str, str]:
    return {
        "cuda": str(torch.version.cuda),
        "cudnn": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]  # as above
        "tf32": f"matmul {_tf32(torch.backends.cuda.matmul)}, cudnn {_tf32(torch.backends.cudnn)}",
        "deterministic": _word(torch.are_deterministic_algorithms_enabled()),
    }  # fmt: skip


def _tf32(library: Any) -> str:
    """Return whether a library may round float32 to TF32.

    The older name of the setting raises where the user's code set the newer one, of PyTorch 2.9.
    """
    newer = getattr(getattr(library, "conv", library), "fp32_precision", None)
    return _word(library.allow_tf32 if newer is None else newer == "tf32")


def _word(setting: object) -> str:
    return "on" if setting else "off"
