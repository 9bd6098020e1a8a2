"""The parts of a program for the task, model, optimizer and losses of a run.

Each calls a function of the engine, of which the program contains a copy. The catalogue says where
the functions are; what the run is stands in its record.
"""

from __future__ import annotations

import keyword
import textwrap
from pathlib import Path
from typing import Any

from tuitrain import catalog
from tuitrain.catalog import Entry, Task
from tuitrain.catalog.choice import Choice
from tuitrain.catalog.problems import FIRST_METRICS
from tuitrain.core.cache import downloads
from tuitrain.core.errors import Refused
from tuitrain.core.events import RunStarted
from tuitrain.core.problem import Problem
from tuitrain.core.safe import safe
from tuitrain.core.spec import RunSpec
from tuitrain.export.program.part import PARTIAL, TORCH, WIDTH, Part, call_text, keywords, quoted
from tuitrain.export.program.source import function

_DATA = "train_inputs, train_targets, val_inputs, val_targets"


def data(spec: RunSpec, started: RunStarted) -> Part:
    """Return the part that loads the data of a run; Refused if their folder is missing."""
    task = catalog.task_named(spec.task)
    folder = _folder(task, spec.data)
    argument = f"Path({quoted(str(folder))})" if folder else ""
    text = comment(f"The data: {started.card.title or spec.task}.")
    text += f"{_DATA} = {_name(task)}({argument})\n"
    imports = ("from pathlib import Path",) if folder else ()
    functions = [function(task.place)]
    if started.problem.kind == "regression":
        text += "train_targets, val_targets, unit = standardised(train_targets, val_targets)\n"
        functions.append(function("tuitrain.engine.data:standardised"))
    return Part(text, imports, tuple(functions))


def model(spec: RunSpec, problem: Problem) -> Part:
    """Return the part that builds the model of a run."""
    entry, options = _read("model", spec.model)
    arguments = (
        "train_inputs.shape[1:]",
        str(problem.outputs),
        *keywords(**entry.fixed, **options),
    )
    return Part(call_text(f"model = {_name(entry)}(", *arguments), (), (function(entry.place),))


def optimizer(text: str, lr: float, device: str) -> Part:
    """Return the part that builds the optimizer, fused if the engine fuses it: rounding differs."""
    choice = Choice.read("optimizer", text)
    entry = catalog.optimizer_named(choice.name)
    options = {
        key: value
        for key, value in catalog.read_options(entry, choice.options).items()
        if value != entry.options[key].default and key != "schedule"  # applied by the loop
    }
    how = entry.on(device.partition(":")[0])
    of_model = [f"{key}={place.partition(':')[2]}(model)" for key, place in entry.of_model.items()]
    arguments = ("model.parameters()", *keywords(lr=lr, **options, **how), *of_model)
    if not entry.place.startswith("torch."):
        own = tuple(map(function, (entry.place, *entry.of_model.values())))
        return Part(call_text(f"optimizer = {_name(entry)}(", *arguments), (TORCH,), own)
    return Part(call_text(f"optimizer = {entry.place.replace(':', '.')}(", *arguments), (TORCH,))


def criterion(loss: str, problem: Problem, *, is_weighted: bool) -> Part:
    """Return the expression for a loss; Refused if it does not fit the problem.

    If the loss is weighted, the program has the weights of the classes as WEIGHTS.
    """
    choice = Choice.read("loss", loss)
    entry = catalog.loss_named(choice.name)
    if entry.shapes(problem.kind) is None:
        raise Refused(entry.why_not(problem.kind))
    weights = ["weight=WEIGHTS"] if is_weighted else []
    given = keywords(**entry.arguments(choice.options, problem.kind))
    arguments = ", ".join((_name(entry), *given, *weights))
    return Part(f"partial({arguments})", (PARTIAL,), (function(entry.place),))


def metric(problem: Problem) -> Part:
    """Return the statement that evaluates the first metric of a problem.

    Raises Refused for a kind of problem that no program has a metric for.
    """
    place = FIRST_METRICS.get(problem.kind or "")
    if place is None:
        raise Refused(f"a {problem.kind} task cannot be exported as a program yet")
    name = _variable(problem)
    unit = ", unit" if problem.kind == "regression" else ""
    call = f"{place.partition(':')[2]}(prediction, val_targets{unit})"
    return Part(f"{name} = {call}", (), (function(place),))


def comment(text: str) -> str:
    """Return the text as comment lines."""
    lines = textwrap.wrap(safe(text), WIDTH - 2, break_on_hyphens=False)
    return "".join(f"# {line}\n" for line in lines)


def _variable(problem: Problem) -> str:
    """Return the name of the first metric; the record may come from anywhere, so it is checked."""
    name = problem.metrics[0].name if problem.metrics else ""
    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name):
        raise Refused(f"no variable of a program can have the name of its metric, {name!r}")
    return name


def _folder(task: Task, data: str | None) -> Path | None:
    """Return the folder with the data of the run; None for data that come with a library."""
    if not task.is_downloaded:
        return None
    folder = Path(data) if data else downloads() / task.name
    if not folder.is_dir():
        raise Refused(f"the data are no longer in {safe(folder)}")
    return folder


def _read(what: str, text: str) -> tuple[Entry, dict[str, Any]]:
    choice = Choice.read(what, text)
    entry = catalog.find(what, choice.name)
    return entry, catalog.read_options(entry, choice.options)


def _name(entry: Entry) -> str:
    return entry.place.partition(":")[2]
