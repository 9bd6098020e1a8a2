"""The server of torch queries: python -m tuitrain.worker.torch_query

It reads one query per line from stdin and writes one answer per line to stdout, as JSON, until
stdin is closed.
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
import torch

from tuitrain import catalog
from tuitrain.core.errors import TuitrainError
from tuitrain.core.own import own_python, source_of
from tuitrain.core.spec import FILLED_IN_NUMBERS, FILLED_IN_STRINGS, RunSpec
from tuitrain.engine.build import build_catalog_model, build_model
from tuitrain.engine.criteria import Losses
from tuitrain.engine.data import Dataset
from tuitrain.engine.device import present
from tuitrain.engine.gpus import Gpu, listed_gpus
from tuitrain.engine.state.checkpoint_file import read_state
from tuitrain.engine.state.weights import save
from tuitrain.engine.tasks import dataset
from tuitrain.engine.tasks.open_task import open_task, resolved
from tuitrain.engine.user_code import UserCode
from tuitrain.store.named_code import known_code
from tuitrain.store.paths import RunPaths


def devices() -> list[dict[str, Any]]:
    """Return the devices of this machine: name, model, memory in bytes, utilisation.

    A field is None if it cannot be read without allocating memory on the device.
    """
    return [*_cuda(), *(_device(name) for name in present() if not name.startswith("cuda"))]


def sizes(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the sizes of the data and the model of a spec, without downloading anything.

    If the data would have to be downloaded, the answer is {"known": false}.
    """
    checked = catalog.new_spec(**_given(spec))
    if own_python(checked.task) or own_python(checked.model):
        return {"known": False, "why": "the trainer runs your code"}
    if source_of(checked.task) != "catalog":
        return _own_sizes(checked)
    task = catalog.task_named(checked.task)
    if task.is_downloaded and checked.data is None:
        return {"known": False}
    data = _data(checked.task, checked.data)
    model = build_catalog_model(checked.model, data.input_shape, data.outputs)
    return {
        "known": True,
        "train_samples": len(data.train),
        "val_samples": len(data.val),
        "classes": data.class_count,
        "sample_shape": list(data.input_shape),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }


def _given(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a spec without those that it leaves to its task."""
    left = (*FILLED_IN_STRINGS, *FILLED_IN_NUMBERS)
    return {name: value for name, value in spec.items() if value or name not in left}


def _own_sizes(spec: RunSpec) -> dict[str, Any]:
    """Return the sizes of a table or of images, and what is used where nothing is given."""
    task = open_task(spec, UserCode())
    losses = Losses(task.data.kind, usual=str(task.defaults.get("loss", "")))
    complete = resolved(spec, task, losses.usual)
    model = build_model(complete.model, task, UserCode())
    names = ("model", "loss", "optimizer", "lr", "batch_size", "epochs")
    return {
        "known": True,
        "train_samples": len(task.data.train),
        "val_samples": len(task.data.val),
        "classes": len(task.data.classes),
        "sample_shape": list(task.data.input_shape),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "kind": task.data.kind,
        "notes": list(task.card.notes),
        "defaults": {name: getattr(complete, name) for name in names},
    }


def export_weights(checkpoint: str, sha256: str, out: str) -> None:
    """Write the model's `state_dict` of a checkpoint to `out`, and verify it before renaming.

    Raises Damaged if the checkpoint does not match `sha256`, TuitrainError if `out` cannot be
    written.
    """
    save(read_state(Path(checkpoint), sha256)["model"], Path(out))


def predict(run: str, file: str, sha256: str, data: list[str]) -> dict[str, Any]:
    """Return what a checkpoint of a run predicts, as columns, rows and notes."""
    from tuitrain.engine.predict import predict as predictions_of

    paths = RunPaths(Path(run))
    predictions = predictions_of(
        paths.read_spec(), paths.checkpoints / file, sha256, UserCode(paths.code, known_code()),
        list(map(Path, data)),
    )  # fmt: skip
    return predictions._asdict()


@lru_cache(maxsize=1)
def _data(task: str, folder: str | None) -> Dataset:
    return dataset.load(task, folder)


def _cuda() -> list[dict[str, Any]]:
    names = [name for name in present() if name.startswith("cuda")]
    gpus = listed_gpus() if names else []
    if gpus is None or len(gpus) != len(names):  # e.g. an AMD GPU, of which PyTorch knows less
        properties = map(torch.cuda.get_device_properties, names)
        gpus = [Gpu(gpu.name, gpu.total_memory, None, None) for gpu in properties]
    return [{"name": name, **gpu._asdict()} for name, gpu in zip(names, gpus, strict=True)]


def _device(name: str) -> dict[str, Any]:
    if name == "mps":
        return {"name": name, **Gpu("Apple GPU", None, None, None)._asdict()}
    memory = psutil.virtual_memory()
    model = f"{platform.machine()}, {torch.get_num_threads()} threads"
    return {"name": name, **Gpu(model, memory.total, memory.available, None)._asdict()}


QUERIES: dict[str, Callable[..., Any]] = {
    "devices": devices,
    "sizes": sizes,
    "export_weights": export_weights,
    "predict": predict,
}


def answer(line: str) -> dict[str, Any]:
    """Return {"answer": ...} to a query {"query": NAME, ...}, or {"error": one sentence}."""
    query = json.loads(line)
    try:
        return {"answer": QUERIES[query.pop("query")](**query)}
    except TuitrainError as error:
        return {"error": str(error), "exit_code": error.exit_code}
    except Exception as error:  # noqa: BLE001 - the client handles it
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Answer queries until stdin is closed."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # libraries may print
    for line in sys.stdin:
        answers.write(json.dumps(answer(line)) + "\n")


if __name__ == "__main__":
    main()
