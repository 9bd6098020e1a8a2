"""NVIDIA GPUs as NVML tells of them: to list them takes no memory on any, as CUDA would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Gpu(NamedTuple):
    """A GPU as it is now; other programs' memory counts as used, too."""

    what: str
    memory_bytes: int | None
    free_bytes: int | None
    busy_percent: int | None
    """Of the last second or less; None where the driver does not say."""


def listed(nvml: Any, visible: str | None, order: str | None) -> list[Gpu] | None:
    """Return the GPUs that CUDA sees, in the order of its numbers; None where NVML cannot tell.

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


def _visible(nvml: Any, visible: str | None, order: str | None) -> list[Any] | None:
    every = [nvml.nvmlDeviceGetHandleByIndex(at) for at in range(nvml.nvmlDeviceGetCount())]
    if visible is None or not visible.startswith(("GPU-", "MIG-")):
        # NVML numbers them by their place on the bus; CUDA if it is told to, or if all are alike
        are_alike = len({nvml.nvmlDeviceGetName(handle) for handle in every}) < 2
        if not are_alike and order != "PCI_BUS_ID":
            return None
    if visible is None:
        return every
    found: list[Any] = []
    for entry in visible.split(","):
        handle = _named(nvml, entry.strip(), every)
        if handle is None:
            break  # what comes after one that is not there, CUDA does not see
        found.append(handle)
    return found


def _named(nvml: Any, entry: str, every: Sequence[Any]) -> Any:
    """Return the GPU of that number, or whose UUID begins so; None if there is not just one."""
    if entry.isdecimal():
        return every[int(entry)] if int(entry) < len(every) else None
    if entry.startswith("MIG-"):
        return nvml.nvmlDeviceGetHandleByUUID(entry)
    begun = [
        handle
        for handle in every
        if entry.startswith("GPU-") and nvml.nvmlDeviceGetUUID(handle).startswith(entry)
    ]
    return begun[0] if len(begun) == 1 else None


def _gpu(nvml: Any, handle: Any) -> Gpu:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    try:
        busy = nvml.nvmlDeviceGetUtilizationRates(handle).gpu
    except nvml.NVMLError:
        busy = None
    return Gpu(nvml.nvmlDeviceGetName(handle), memory.total, memory.free, busy)
