"""NVIDIA GPUs as NVML reports them: unlike CUDA, NVML takes no GPU memory to list them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class Gpu(NamedTuple):
    """The present state of a GPU; memory of other programs counts as used."""

    what: str
    memory_bytes: int | None
    free_bytes: int | None
    busy_percent: int | None
    """Over the last second or less; None where the driver does not report it."""


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
