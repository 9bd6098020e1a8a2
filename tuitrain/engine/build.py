"""Build a run from its spec: data, model, optimizer, losses and metrics, all by its seed."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from tuitrain import catalog
from tuitrain.catalog.choice import Choice
from tuitrain.core.errors import Refused, WrongUse
from tuitrain.core.options import OPTIONS
from tuitrain.core.own import by_file_name, own_python
from tuitrain.core.problem import Problem
from tuitrain.core.spec import RunSpec
from tuitrain.engine import device as devices
from tuitrain.engine.class_weights import class_weights, described
from tuitrain.engine.criteria import Losses
from tuitrain.engine.data import WHOLE, Part
from tuitrain.engine.evaluation import Metrics
from tuitrain.engine.forward import DTYPES, compile_model, compute_in, has_graphs
from tuitrain.engine.gradient_scale import GradientScale
from tuitrain.engine.known_targets import why_no_counts
from tuitrain.engine.models import has_sparse_gradients
from tuitrain.engine.monitor import Monitor, monitored
from tuitrain.engine.optim import build_optimizer, take_sparse_gradients, trainable
from tuitrain.engine.preflight import why_not_loss
from tuitrain.engine.state import rng
from tuitrain.engine.state.weights import load as load_weights
from tuitrain.engine.tasks.download import Report, ignore_progress
from tuitrain.engine.tasks.open_task import open_task, resolved
from tuitrain.engine.tasks.opened import OpenedTask
from tuitrain.engine.training import Training
from tuitrain.engine.user_calls import call_own
from tuitrain.engine.user_code import UserCode
from tuitrain.engine.user_errors import place_of, placed


def build(
    spec: RunSpec,
    report: Report = ignore_progress,
    code: UserCode | None = None,
    *,
    device: str | None = None,
    part: Part | None = WHOLE,
) -> Training:
    """Load the data, and build model, optimizer and criterion from the spec and its seed.

    `report` is called with the progress of a download; `code` has the user's files; `device` is
    used in place of the spec's; `part` is this process's of each batch, None where the run is not
    trained.
    Raises DeviceAbsent, Refused if the model or the loss does not fit the data, and the errors of
    loading the data or the user's code.
    """
    chosen, why = devices.choose(device or spec.device)
    devices.use(chosen)
    devices.repeat_exactly(chosen, asked=spec.deterministic, is_exact=spec.is_deterministic)
    code = code or UserCode()
    spec, task, losses = _load(spec, report, code, chosen)
    rng.seed(spec.seed)
    model = _initial_model(spec, task, chosen, code)
    optimizer, lr = _optimizer(spec, task, model, chosen, code)
    spec = replace(spec, lr=lr, model=by_file_name(spec.model),
                   optimizer=by_file_name(spec.optimizer))  # fmt: skip
    metrics, monitor = _evaluation(spec, task, losses)
    data = task.data.to(chosen)
    run = Training(
        model=model,
        weights=trainable(model),
        optimizer=optimizer,
        criterion=losses.criterion(spec.loss),
        data=data,
        device=chosen,
        stopwatch=devices.stopwatch(chosen),
        is_synchronous=chosen.type == "cpu",
        loss_name=spec.loss,
        base_lr=spec.lr,
        batch_size=spec.batch_size,
        has_graphs=has_graphs(spec, chosen),
        gradient_scale=GradientScale(chosen) if spec.precision == "fp16" else None,
        accumulate=spec.accumulate,
        epochs=spec.epochs,
        seed=spec.seed,
        losses=losses,
        metrics=metrics,
        monitor=monitor,
        spec=spec,
        code=code,
        try_own_loss=why_not_loss,
        task=task,
        card=replace(task.card, notes=(*task.card.notes, *filter(None, [why, data.why_copied]))),
        warnings=task.warnings,
        own_schedule=task.schedule,
        on_nonfinite=spec.on_nonfinite,
        until=spec.until,
        pace=spec.pace,
    )
    code.commit()
    if part is not None:
        run.part = part
        _check_batch_size(run, task)
    return run


def _initial_model(
    spec: RunSpec, task: OpenedTask, device: torch.device, code: UserCode
) -> nn.Module:
    """Return the model on the device, with the weights that the run begins with."""
    with placed(task.place("model", spec.model)):
        model = build_model(spec.model, task, code)
        model = model if spec.is_sharded else model.to(device)  # which has no room for it whole
    if spec.init_from is not None:
        load_weights(model, Path(spec.init_from), spec.init_given or spec.init_from)
    _compute(model, spec, device)
    return model


def _evaluation(spec: RunSpec, task: OpenedTask, losses: Losses) -> tuple[Metrics, Monitor]:
    """Return the metrics of a validation, and what decides which is the best."""
    data = task.data
    with placed(task.place("metrics")):
        metrics = Metrics(data.kind, data.outputs, task.metrics, unit=data.unit_name)
    problem = Problem(data.kind, metrics.described, losses=losses.names)
    with placed(task.place("monitor", spec.monitor)):
        return metrics, Monitor(monitored(spec.monitor, problem, spec.loss), spec.patience)


def _check_batch_size(run: Training, task: OpenedTask) -> None:
    """Raise Refused if the model cannot train batches of that size."""
    if (reason := run.why_not_batches_of(run.batch_size)) is not None:
        with placed(place_of(run.model) or task.place("model", run.spec.model)):
            raise Refused(reason)


def _compute(model: nn.Module, spec: RunSpec, device: torch.device) -> None:
    """Let the forward passes of a model be computed as the spec says."""
    if dtype := DTYPES.get(spec.precision):
        compute_in(model, device.type, dtype)
    if spec.compile:
        compile_model(model, "reduce-overhead" if has_graphs(spec, device) else None)


def _load(
    spec: RunSpec, report: Report, code: UserCode, device: torch.device
) -> tuple[RunSpec, OpenedTask, Losses]:
    """Return the spec with the settings that it left to its task, the task, and its losses."""
    rng.seed(spec.seed)  # the user's own code may draw while it is loaded
    task = open_task(spec, code, report)
    usual = str(task.defaults.get("loss", ""))
    losses = Losses(
        task.data.kind, task.losses, usual=usual, code=code, device=device,
        no_counts=why_no_counts(task.data),
    )  # fmt: skip
    spec = resolved(spec, task, losses.usual)
    spec = replace(spec, loss=losses.canonical(spec.loss))
    if spec.class_weights is not None:
        spec, task = _weighed(spec, task, losses)
    spec = replace(spec, val_losses=losses.to_record(spec.val_losses))
    return spec, task, losses


def _weighed(spec: RunSpec, task: OpenedTask, losses: Losses) -> tuple[RunSpec, OpenedTask]:
    """Give each class its weight; return the spec with the weights and the task that says so."""
    weights = class_weights(str(spec.class_weights), task.data)
    losses.weigh(weights)
    card = replace(task.card, notes=(*task.card.notes, described(weights, task.data)))
    spec = replace(spec, class_weights=",".join(map(repr, weights)))
    return spec, replace(task, card=card)


def build_model(text: str, task: OpenedTask, code: UserCode) -> nn.Module:
    """Return the model that a spec names, or the task's own where it names none."""
    shape, outputs = task.data.input_shape, task.data.outputs
    own = own_python(text)
    if own is not None:
        model = call_own(own, code, shape=shape, outputs=outputs)
    elif not text and task.model is not None:
        model = task.model()
    else:
        model = build_catalog_model(text, shape, outputs)
    if not isinstance(model, nn.Module):
        raise WrongUse(f"{text or 'model'} returns {type(model).__name__}, not a torch.nn.Module")
    if any(map(nn.parameter.is_lazy, chain(model.parameters(), model.buffers()))):
        raise WrongUse(
            f"{text or 'model'} has lazy layers, whose sizes are not known yet: call the model "
            "once on a batch before you return it"
        )
    if not any(weights.requires_grad for weights in model.parameters()):
        raise WrongUse(f"{type(model).__name__}: the model has no weights to train")
    return model


def _optimizer(
    spec: RunSpec, task: OpenedTask, model: nn.Module, device: torch.device, code: UserCode
) -> tuple[Optimizer, float]:
    """Return optimizer and learning rate; an own optimizer may bring its rate."""
    with placed(task.place("optimizer", spec.optimizer)):
        if spec.optimizer and own_python(spec.optimizer) is None:
            lr = spec.lr or float(OPTIONS["lr"].default)
            optimizer = build_optimizer(spec.optimizer, model, lr, device)
        else:
            optimizer, lr = _own_optimizer(spec, task, trainable(model), code)
    if has_sparse_gradients(model):
        take_sparse_gradients(optimizer)
    return optimizer, lr


def _own_optimizer(
    spec: RunSpec, task: OpenedTask, weights: tuple[nn.Parameter, ...], code: UserCode
) -> tuple[Optimizer, float]:
    own = own_python(spec.optimizer)
    if own is not None:
        optimizer = call_own(own, code, params=weights)
    else:
        assert task.optimizer is not None
        optimizer = task.optimizer(weights)
    if not isinstance(optimizer, Optimizer):
        raise WrongUse(f"the optimizer is a {type(optimizer).__name__}, not one of PyTorch")
    if isinstance(optimizer, torch.optim.LBFGS):
        raise WrongUse(
            "LBFGS evaluates the loss several times a step, which this trainer does not; "
            "tuitrain watch takes a script that uses it"
        )
    updated = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    if updated.isdisjoint(map(id, weights)):
        raise WrongUse("the optimizer has none of the model's weights: give it the params it gets")
    lr = spec.lr or float(optimizer.param_groups[0]["lr"])
    for group in optimizer.param_groups:
        group["lr"] = lr if spec.lr else group["lr"]
    return optimizer, lr


def build_catalog_model(text: str, shape: tuple[int, ...], outputs: int) -> nn.Module:
    """Return the model of the catalogue; Refused if it cannot take samples of that shape."""
    reason = catalog.model_named(Choice.read("model", text).name).why_not(shape)
    if reason is not None:
        raise Refused(reason)
    model: nn.Module = build_entry("model", text, shape, outputs)
    return model


def build_entry(what: str, text: str, *arguments: Any) -> Any:
    """Return what the builder of `NAME[:key=value,...]` returns for `arguments` and its options.

    Raises Refused if it cannot be built from them.
    """
    choice = Choice.read(what, text)
    entry = catalog.find(what, choice.name)
    try:
        options = catalog.read_options(entry, choice.options)
        return entry.load()(*arguments, **entry.fixed, **options)
    except ValueError as error:
        raise Refused(str(error)) from None
