"""tuitrain tasks, losses, models, optimizers, metrics, devices: list and explain the catalogue."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click

from tuitrain import catalog
from tuitrain.catalog import Entry, Loss, Task
from tuitrain.catalog.entry_options import Option
from tuitrain.catalog.model_entry import ModelEntry
from tuitrain.cli import complete
from tuitrain.core.errors import WrongUse
from tuitrain.core.own import source_of, title_of
from tuitrain.core.problem import Kind
from tuitrain.core.schedules import SCHEDULES

_json_option = click.option("--json", "as_json", is_flag=True, help="For programs: strict JSON.")
_LABEL, _NAME = 10, 22


@click.command(epilog="\b\nExample:\n  tuitrain tasks")
@_json_option
def tasks(as_json: bool) -> None:
    """List what can be trained on."""
    entries = catalog.TASKS.values()
    _say([_task(task) for task in entries] if as_json else _lines(entries))


@click.command(
    epilog="""\b
Examples:
  tuitrain losses                   what there is
  tuitrain losses cross-entropy     what one is, and when to use it
  tuitrain losses --task diabetes   which fit, and why the others do not"""
)
@click.argument("name", required=False, shell_complete=complete.named("loss"))
@click.option(
    "--task", metavar="TASK", shell_complete=complete.named("task"),
    help="Which fit this task, and why the others do not.",
)  # fmt: skip
@_json_option
def losses(name: str | None, task: str | None, as_json: bool) -> None:
    """List the loss functions; with NAME, teach one."""
    kind = _kind_of(task) if task else None
    if name:
        loss = catalog.loss_named(name)
        _say(_loss(loss, kind) if as_json else _lesson(loss, kind))
    elif as_json:
        _say([_loss(loss, kind) for loss in catalog.LOSSES.values()])
    elif kind:
        fitting = catalog.fitting_losses(kind)
        others = [loss for loss in catalog.LOSSES.values() if loss not in fitting]
        lines = [f"{task} is a {kind} problem. These fit, the usual one first:"]
        lines += [_named(loss.name, loss.summary) for loss in fitting]
        lines += ["These do not:"] if others else []
        lines += [_named(loss.name, loss.misfit(kind)) for loss in others]
        _say("\n".join(lines))
    else:
        _say(_lines(catalog.LOSSES.values()))


def _named(name: str, text: str | None) -> str:
    return _hanging(f"  {name:<{_NAME}} ", text or "", _NAME + 3)


def _kind_of(task: str) -> Kind:
    """Return the kind of a built-in task; only a trainer runs the user's code or reads data."""
    if source_of(task) != "catalog":
        raise WrongUse(
            f"only its trainer knows the losses of {title_of(task)}: once it is started, "
            "tuitrain show RUN --json has them under problem, and l in the app"
        )
    return catalog.task_named(task).kind


@click.command(
    epilog="""\b
Examples:
  tuitrain models
  tuitrain models resnet18
  tuitrain run fashion-mnist --model resnet18"""
)
@click.argument("name", required=False, shell_complete=complete.named("model"))
@_json_option
def models(name: str | None, as_json: bool) -> None:
    """List the models and their options; with NAME, one."""
    if name:
        entry = catalog.model_named(name)
        _say(_entry(entry) if as_json else "\n".join([_lines([entry]), *_takes(entry)]))
    elif as_json:
        _say([_entry(entry) for entry in catalog.CATALOG["model"].values()])
    else:
        _say("\n".join([_lines(catalog.MODELS.values()), "", *_families()]))


def _takes(entry: ModelEntry) -> Iterator[str]:
    """Yield the line on the images that a model takes, if it is for images."""
    if entry.needs_images and (takes := entry.takes):
        yield f"{'':<16}   takes {takes}"


def _families() -> Iterator[str]:
    yield "torchvision's classifiers, for images, without its weights:"
    for family in catalog.FAMILIES:
        takes = next(family.entries).takes
        yield _hanging("  ", f"{family.summary}{f', {takes}' if takes else ''}", 4)
        yield _hanging(" " * 6, family.names, 6)


@click.command(
    epilog="""\b
Examples:
  tuitrain optimizers
  tuitrain optimizers adamw
  tuitrain run --optimizer adamw:schedule=step:size=5:warmup=1"""
)
@click.argument("name", required=False, shell_complete=complete.named("optimizer"))
@_json_option
def optimizers(name: str | None, as_json: bool) -> None:
    """List the optimizers and schedules; with NAME, one and its options."""
    if name:
        entry = catalog.optimizer_named(name)
        _say(_entry(entry) if as_json else _lines([entry]))
    elif as_json:
        _say([_entry(entry) for entry in catalog.OPTIMIZERS.values()])
    else:
        entries = [
            _hanging(f"{entry.name:<16} ", entry.summary, 17)
            for entry in catalog.OPTIMIZERS.values()
        ]
        _say("\n".join([*entries, "", *_schedules()]))


def _schedules() -> Iterator[str]:
    yield "Their schedules, as in adamw:schedule=step:size=5:warmup=1, where the rate"
    for name, shape in SCHEDULES.items():
        options = "".join(
            f":{key}={type_.write(default)}" for key, (type_, default) in shape.options.items()
        )
        yield _hanging(f"  {name + options:<30} ", shape.summary, 33)
    warmup = "rises first from 1 % of lr within so many epochs"
    yield _hanging(f"  {'...:warmup=0':<30} ", warmup, 33)


@click.command(epilog="\b\nExample:\n  tuitrain metrics")
@_json_option
def metrics(as_json: bool) -> None:
    """List the metrics, and the kinds of problems that have them."""
    known = {metric.name: metric for of_kind in catalog.METRICS.values() for metric in of_kind}
    rows = [
        {
            "name": name, "direction": metric.direction, "summary": catalog.EXPLAINED[name],
            "kinds": [kind for kind, found in catalog.METRICS.items() if metric in found],
        }
        for name, metric in known.items()
    ]  # fmt: skip
    if as_json:
        _say(rows)
        return
    better = {"max": "higher", "min": "lower"}
    width = max(map(len, known))
    _say("\n".join(
        _hanging(
            f"{row['name']:<{width}} ",
            f"{row['summary']}; {better[str(row['direction'])]} is better "
            f"({', '.join(row['kinds'])})",
            width + 1,
        )
        for row in rows
    ))  # fmt: skip


@click.command(epilog="\b\nExample:\n  tuitrain devices")
@_json_option
def devices(as_json: bool) -> None:
    """List the devices of this machine with their memory. PyTorch is asked: it takes a moment."""
    from tuitrain.trainer.torch_query import query

    machine_devices: list[dict[str, Any]] = query("devices")
    if as_json:
        _say(machine_devices)
        return
    lines = [
        f"  {device['name']:<8} {device['what']}, {_memory(device)}{_busy(device)}"
        for device in machine_devices
    ]
    if [device["name"] for device in machine_devices] == ["cpu"]:
        lines.append("There is no GPU here that PyTorch can use.")
    _say("\n".join(lines))


def _say(content: object) -> None:
    text = content if isinstance(content, str) else None
    click.echo(json.dumps(content, indent=1, ensure_ascii=False) if text is None else text)


def _lines(entries: Iterable[Entry]) -> str:
    lines = []
    for entry in entries:
        lines.append(_hanging(f"{entry.name:<{_NAME}} ", entry.summary, _NAME + 1))
        for key, option in entry.options.items():
            lines.append(_hanging(" " * (_NAME + 3), _option(key, option), _NAME + 5))
    return "\n".join(lines)


def _option(key: str, option: Option) -> str:
    kinds = f" ({', '.join(option.kinds)})" if option.kinds else ""
    takes = f"{option.description}: {option.type.description}"
    return f":{key}={option.write(option.default)}  {takes}{kinds}"


def _lesson(loss: Loss, kind: str | None) -> str:
    rows = [("", loss.summary), ("formula", loss.formula), ("inside", loss.inside)]
    rows += [("when", loss.when), ("when not", loss.when_not)]
    rows += [
        ("option", f"{loss.name}{_option(key, option)}") for key, option in loss.options.items()
    ]
    rows += [(fit, takes) for fit, takes in loss.takes.items() if kind in (None, fit)]
    rows += [(fit, f"does not fit: {why}") for fit, why in loss.misfits.items()
             if kind in (None, fit)]  # fmt: skip
    rows += [("only", loss.only_counts)] if loss.only_counts else []
    also = f" ({', '.join(loss.aliases)} in PyTorch)" if loss.aliases else ""
    return "\n".join([loss.name + also, *(_wrapped(label, text) for label, text in rows)])


def _wrapped(label: str, text: str) -> str:
    return _hanging(f"  {label:<{_LABEL}}  ", text, _LABEL + 4)


def _hanging(start: str, text: str, indent: int) -> str:
    """Return a text that begins with `start`, its later lines indented by so many spaces."""
    width = max(40, min(100, shutil.get_terminal_size().columns))
    return textwrap.fill(
        text, width, initial_indent=start, subsequent_indent=" " * indent,
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip


def _entry(entry: Entry) -> dict[str, Any]:
    options = {
        key: {
            "default": option.write(option.default),
            "says": option.description,
            "takes": option.type.description,
        }
        for key, option in entry.options.items()
    }
    return {"name": entry.name, "summary": entry.summary, "aliases": list(entry.aliases),
            "options": options}  # fmt: skip


def _task(task: Task) -> dict[str, Any]:
    fitting = [loss.name for loss in catalog.fitting_losses(task.kind)]
    return {**_entry(task), "kind": task.kind, "model": task.model, "epochs": task.epochs,
            "losses": fitting}  # fmt: skip


def _loss(loss: Loss, kind: Kind | None) -> dict[str, Any]:
    about: Mapping[str, Any] = {
        "formula": loss.formula, "inside": loss.inside, "when": loss.when,
        "when_not": loss.when_not, "takes": dict(loss.takes), "misfits": dict(loss.misfits),
    }  # fmt: skip
    fits = {"fits": loss in catalog.fitting_losses(kind)} if kind else {}
    return {**_entry(loss), **about, **fits}


def _memory(device: Mapping[str, Any]) -> str:
    total, free = device["memory_bytes"], device["free_bytes"]
    if total is None:
        return "memory shared with the CPU"
    return f"{total / 1e9:.1f} GB" + (
        f", {free / 1e9:.1f} GB of it free" if free is not None else ""
    )


def _busy(device: Mapping[str, Any]) -> str:
    return "" if device["busy_percent"] is None else f", {device['busy_percent']} % busy"
