"""Devices: which there are, how time is told on them, and the one place that waits for them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol, SupportsFloat

import torch
from torch import Tensor

from tuitrain.core.errors import DeviceAbsent


def present() -> list[str]:
    """Return the names of the devices of this machine, the fastest kind first."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*cuda, *mps, "cpu"]


def choose(name: str) -> torch.device:
    """Return the device of that name, `auto` being the first there is; DeviceAbsent if none is."""
    there = present()
    wanted = {"auto": there[0], "cuda": "cuda:0"}.get(name, name)
    if wanted not in there:
        raise DeviceAbsent(f"no device {name} here; there is: {', '.join(there)}")
    return torch.device(wanted)


def use(device: torch.device) -> None:
    """Let what names no device of its own, such as an event that times a step, be on this one."""
    if device.type == "cuda":
        torch.cuda.set_device(device)


def read(scalars: Sequence[SupportsFloat]) -> list[float]:
    """Return the values of device scalars, waiting for the device once for all of them."""
    if not scalars:
        return []
    tensors = [scalar for scalar in scalars if isinstance(scalar, Tensor)]
    assert len(tensors) == len(scalars), "losses of steps are tensors"
    values: list[float] = torch.stack(tensors).tolist()
    return values


class Stopwatch(Protocol):
    """Tells how long a device takes, without making the host wait for it."""

    def mark(self) -> Any:
        """Return a reading to be made sense of later."""

    def microseconds(self, marks: Sequence[Any]) -> list[int]:
        """Return the time between each two readings; called when their work is surely done."""


class HostStopwatch:
    """For devices that work while the host waits."""

    mark = staticmethod(time.perf_counter_ns)

    def microseconds(self, marks: Sequence[int]) -> list[int]:
        """Return the whole microseconds between each two readings."""
        return [(after - before) // 1000 for before, after in pairwise(marks)]


class CudaStopwatch:
    """For CUDA, where the host's clock would time launches only: readings are device events."""

    def mark(self) -> torch.cuda.Event:
        """Return an event that the device passes in its turn."""
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def microseconds(self, marks: Sequence[torch.cuda.Event]) -> list[int]:
        """Return the whole microseconds between each two events."""
        marks[-1].synchronize()  # the losses were read before: this waits for nothing
        return [int(before.elapsed_time(after) * 1000) for before, after in pairwise(marks)]


def stopwatch(device: torch.device) -> Stopwatch:
    """Return the stopwatch for that device."""
    return CudaStopwatch() if device.type == "cuda" else HostStopwatch()


def environment(device: torch.device) -> dict[str, str]:
    """Return what a bit-for-bit repetition depends on, to be compared before it is promised."""
    return {
        "torch": torch.__version__,
        "threads": str(torch.get_num_threads()),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    }
