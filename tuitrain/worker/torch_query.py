"""What only torch knows: python -m tuitrain.worker.torch_query

A question is a line of JSON on stdin, its answer one on stdout, until stdin is closed.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil
import pynvml
import torch

from tuitrain import catalog
from tuitrain.core.errors import TuitrainError
from tuitrain.engine.data import Dataset
from tuitrain.engine.device import present
from tuitrain.engine.gpus import Gpu, listed
from tuitrain.engine.state.checkpoint import read_state
from tuitrain.engine.state.weights import save
from tuitrain.engine.tasks import dataset
from tuitrain.engine.training import build_entry


def devices() -> list[dict[str, Any]]:
    """Return the devices of this machine: name, what it is, its memory in bytes, how busy it is.

    What nobody can tell without taking memory on the device is None.
    """
    return [*_cuda(), *(_device(name) for name in present() if not name.startswith("cuda"))]


def sizes(spec: dict[str, Any]) -> dict[str, Any]:
    """Return how large data and model of a spec are; nothing is downloaded for it.

    Without the data there is neither: {"known": false}.
    """
    wanted = catalog.new_spec(**spec)
    task = catalog.task_named(wanted.task)
    if task.is_downloaded and wanted.data is None:
        return {"known": False}
    data = _data(wanted.task, wanted.data)
    model = build_entry("model", wanted.model, data.input_shape, data.outputs)
    return {
        "known": True,
        "train_samples": len(data.train),
        "val_samples": len(data.val),
        "classes": {"multiclass": data.outputs, "binary": 2}.get(data.kind or "", 0),
        "sample_shape": list(data.input_shape),
        "parameters": sum(weights.numel() for weights in model.parameters()),
    }


def export_weights(checkpoint: str, sha256: str, out: str) -> None:
    """Write the model's plain `state_dict` in a checkpoint, read back before it has its name.

    Raises Damaged for a checkpoint that is not what was written, TuitrainError for an unwritable
    `out`.
    """
    save(read_state(Path(checkpoint), sha256)["model"], Path(out))


@lru_cache(maxsize=1)
def _data(task: str, folder: str | None) -> Dataset:
    return dataset.load(task, folder)


def _cuda() -> list[dict[str, Any]]:
    names = [name for name in present() if name.startswith("cuda")]
    visible, order = map(os.environ.get, ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"))
    found = listed(pynvml, visible, order) if names else []
    if found is None or len(found) != len(names):  # an AMD GPU, say; PyTorch knows less
        about = map(torch.cuda.get_device_properties, names)
        found = [Gpu(each.name, each.total_memory, None, None) for each in about]
    return [{"name": name, **gpu._asdict()} for name, gpu in zip(names, found, strict=True)]


def _device(name: str) -> dict[str, Any]:
    if name == "mps":
        return {"name": name, **Gpu("Apple GPU", None, None, None)._asdict()}
    memory = psutil.virtual_memory()
    what = f"{platform.machine()}, {torch.get_num_threads()} threads"
    return {"name": name, **Gpu(what, memory.total, memory.available, None)._asdict()}


QUESTIONS: dict[str, Callable[..., Any]] = {
    "devices": devices,
    "sizes": sizes,
    "export_weights": export_weights,
}


def answer(line: str) -> dict[str, Any]:
    """Return {"answer": ...} to a question {"ask": NAME, ...}, or {"error": one sentence}."""
    asked = json.loads(line)
    try:
        return {"answer": QUESTIONS[asked.pop("ask")](**asked)}
    except TuitrainError as error:
        return {"error": str(error)}
    except Exception as error:  # noqa: BLE001 - whoever asks goes on without an answer
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Answer questions until there are no more."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    for line in sys.stdin:
        answers.write(json.dumps(answer(line)) + "\n")


if __name__ == "__main__":
    main()
