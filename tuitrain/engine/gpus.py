"""NVIDIA GPUs as NVML reports them: unlike CUDA, NVML takes no GPU memory to list them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import pynvml

from tuitrain.core.series import GPU_MEMORY, GPU_POWER, GPU_TEMPERATURE, GPU_USE, Series

_MB = 1_000_000


class Gpu(NamedTuple):
    """The present state of a GPU; memory of other programs counts as used."""

    what: str
    memory_bytes: int | None
    free_bytes: int | None
    busy_percent: int | None
    """Over the last second or less; None where the driver does not report it."""


def listed_gpus() -> list[Gpu] | None:
    """Return the GPUs that CUDA sees in this process, in its order; None if unknown."""
    return listed(pynvml, *map(os.environ.get, ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")))


def listed(nvml: Any, visible: str | None, order: str | None) -> list[Gpu] | None:
    """Return the GPUs that CUDA sees, in CUDA's order; None where NVML cannot determine it.

    `nvml` is the module `pynvml` or one like it; `visible` and `order` are the values of
    CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER, None where they are not set.
    """
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return None
    try:
        handles = _visible(nvml, visible, order)
        return None if handles is None else [_gpu(nvml, handle) for handle in handles]
    except nvml.NVMLError:
        return None
    finally:
        nvml.nvmlShutdown()


class Meter:
    """Reads what one GPU does, as often as it is asked."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._readings: Mapping[Series, Callable[[], float]] = {
            GPU_USE: lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
            GPU_MEMORY: lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used / _MB,
            GPU_POWER: lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000,
            GPU_TEMPERATURE: lambda: nvml.nvmlDeviceGetTemperature(
                handle, nvml.NVML_TEMPERATURE_GPU
            ),
        }

    def read(self) -> dict[Series, float]:
        """Return the values that the driver reports."""
        values = {}
        for series, reading in self._readings.items():
            with suppress(self._nvml.NVMLError):
                values[series] = float(reading())
        return values


def meter(nvml: Any, number: int, visible: str | None, order: str | None) -> Meter | None:
    """Return the meter of the GPU with CUDA's number; None where NVML cannot determine it.

    The other arguments are those of `listed`. NVML stays open until the process ends.
    """
    try:
        nvml.nvmlInit()
        handles = _visible(nvml, visible, order) or []
    except nvml.NVMLError:
        return None
    return Meter(nvml, handles[number]) if number < len(handles) else None


def _visible(nvml: Any, visible: str | None, order: str | None) -> list[Any] | None:
    every = [nvml.nvmlDeviceGetHandleByIndex(at) for at in range(nvml.nvmlDeviceGetCount())]
    if visible is None or not visible.startswith(("GPU-", "MIG-")):
        # NVML numbers GPUs by bus position; CUDA does so only if set to, or if all are alike
        are_alike = len({nvml.nvmlDeviceGetName(handle) for handle in every}) < 2
        if not are_alike and order != "PCI_BUS_ID":
            return None
    if visible is None:
        return every
    seen: list[Any] = []
    for entry in visible.split(","):
        handle = _named(nvml, entry.strip(), every)
        if handle is None:
            break  # CUDA ignores all entries after one that is absent
        seen.append(handle)
    return seen


def _named(nvml: Any, entry: str, every: Sequence[Any]) -> Any:
    """Return the GPU of that number or UUID prefix; None unless exactly one matches."""
    if entry.isdecimal():
        return every[int(entry)] if int(entry) < len(every) else None
    if entry.startswith("MIG-"):
        return nvml.nvmlDeviceGetHandleByUUID(entry)
    matching = [
        handle
        for handle in every
        if entry.startswith("GPU-") and nvml.nvmlDeviceGetUUID(handle).startswith(entry)
    ]
    return matching[0] if len(matching) == 1 else None


def _gpu(nvml: Any, handle: Any) -> Gpu:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    try:
        busy = nvml.nvmlDeviceGetUtilizationRates(handle).gpu
    except nvml.NVMLError:
        busy = None
    return Gpu(nvml.nvmlDeviceGetName(handle), memory.total, memory.free, busy)
