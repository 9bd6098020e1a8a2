"""What only torch knows, as JSON on stdout: python -m tuitrain.worker.ask devices"""

from __future__ import annotations

import json
import platform
import sys
from typing import Any

import psutil
import torch

from tuitrain.engine.device import present


def devices() -> list[dict[str, Any]]:
    """Return the devices of this machine: name, what it is, memory and free memory in bytes."""
    return [_device(name) for name in present()]


def _device(name: str) -> dict[str, Any]:
    if name.startswith("cuda"):
        free, total = torch.cuda.mem_get_info(name)
        return _row(name, torch.cuda.get_device_name(name), total, free)
    if name == "mps":
        return _row(name, "Apple GPU", None, None)
    memory = psutil.virtual_memory()
    what = f"{platform.machine()}, {torch.get_num_threads()} threads"
    return _row(name, what, memory.total, memory.available)


def _row(name: str, what: str, total: int | None, free: int | None) -> dict[str, Any]:
    return {"name": name, "what": what, "memory_bytes": total, "free_bytes": free}


QUESTIONS = {"devices": devices}

if __name__ == "__main__":
    json.dump(QUESTIONS[sys.argv[1]](), sys.stdout)
