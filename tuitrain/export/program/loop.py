"""The training loop of a program, with the changes of the run as code at their steps."""

from __future__ import annotations

from collections.abc import Iterable
from string import Template

from tuitrain.core.commands import Change, SwapLoss
from tuitrain.core.events import RateReduced
from tuitrain.core.plan import Planned
from tuitrain.core.schedules import RateSchedule
from tuitrain.export.program import entries, rate
from tuitrain.export.program.part import MATH, NN, TORCH, Part, indented, joined
from tuitrain.export.program.source import function
from tuitrain.export.recipe import Recipe

_LOOP = Template("""\
# The training loop: the same five steps for every batch.
criterion = $criterion
epochs = $epochs
$settings\
$count_from\
$head
    model.train()
$batches
        # 1. Reset the gradients of the previous batch.
        optimizer.zero_grad()
$keep\
$passes\
$clip\
$schedule\
        # 5. Step: let the optimizer update the weights.
$optimize\
        step += 1
$after_batch\

    model.eval()
    with torch.no_grad():
        prediction = $predict
        val_loss = criterion(prediction, val_targets)
        $metric
$count\
    print(f"epoch {$number}: val loss {val_loss:.4f}, $printed")
$between""")

_BACKWARD = """\
        # 2. Forward: compute the predictions for these samples.
        prediction = model(train_inputs[batch])
        # 3. Loss: compare the predictions with the targets.
        loss = criterion(prediction, train_targets[batch])
        # 4. Backward: compute the gradient of the loss for every weight.
        loss.backward()
"""
_ACCUMULATED = """\
        losses = []
        for part in batch.split(batch_size):  # their gradients add up
            # 2. Forward: compute the predictions for these samples.
            prediction = model(train_inputs[part])
            # 3. Loss: compare the predictions with the targets, by their share of the step.
            loss = criterion(prediction, train_targets[part]) * (len(part) / len(batch))
            losses.append(loss.detach())
            # 4. Backward: compute the gradient of the loss for every weight.
            loss.backward()
        loss = sum(losses)
"""

_CLIP = """\
        # Scale the gradients down if their norm is too large.
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
"""

_AT_ONCE = 1024
"""Samples per batch of the validation."""
_MANY = f"torch.cat([model(inputs) for inputs in val_inputs.split({_AT_ONCE})])"

_STEPPING = {"keep": "", "optimize": "        optimizer.step()\n"}
_SKIPPING = {
    "keep": """\
        # A forward pass may change buffers (of batch norm): keep a copy to restore them.
        kept = [buffer.clone() for buffer in model.buffers()]
""",
    "optimize": """\
        # A nonfinite loss or gradient skips the update.
        numbers = [loss, *(parameter.grad for parameter in model.parameters())]
        if all(tensor.isfinite().all() for tensor in numbers):
            optimizer.step()
        else:
            for buffer, before in zip(model.buffers(), kept):
                buffer.copy_(before)
""",
}


def loop(recipe: Recipe) -> Part:
    """Return the training loop, up to the checkpoint of the recipe."""
    metric = entries.metric(recipe.problem)
    name = metric.text.partition(" ")[0]
    losses = [_criterion(recipe, loss) for loss in recipe.losses]
    schedule = rate.following(recipe)
    many = recipe.started.val_samples > _AT_ONCE
    text = _LOOP.substitute(
        criterion=losses[0].text,
        settings=_settings(recipe),
        **_counting(recipe),
        batches=_batches(recipe, is_numbered=bool(schedule.text)),
        passes=_BACKWARD if recipe.spec.accumulate == 1 else _ACCUMULATED,
        schedule=schedule.text,
        clip=_CLIP if recipe.clips else "",
        **(_SKIPPING if recipe.skips_nonfinite else _STEPPING),
        after_batch=_after_batch(recipe),
        predict=_MANY if many else "model(val_inputs)",
        metric=metric.text,
        printed=f"{name} {{{name}:.4f}}",
        between=_between(recipe),
    )
    known = ((TORCH, "torch."), (NN, "nn."), (MATH, "math."))
    imports = tuple(line for line, name in known if f" {name}" in text)
    needed = [*losses, schedule, metric]
    return joined([
        Part(text, imports, (function("tuitrain.engine.data:shuffled"),)),
        *(part._replace(text="") for part in needed),
    ])  # fmt: skip


def _criterion(recipe: Recipe, loss: str) -> Part:
    return entries.criterion(loss, recipe.problem, is_weighted=bool(recipe.class_weights))


def _batches(recipe: Recipe, *, is_numbered: bool) -> str:
    to_device = ".to(device)" if recipe.started.device != "cpu" else ""
    size = "batch_size" if recipe.spec.accumulate == 1 else "batch_size * accumulate"
    batches = f"shuffled(len(train_inputs), seed=SEED, epoch=epoch){to_device}.split({size})"
    if not is_numbered:
        return f"    for batch in {batches}:"
    return f"    batches = {batches}\n    for number, batch in enumerate(batches):"


def _counting(recipe: Recipe) -> dict[str, object]:
    """Return the lines that count epochs.

    A run whose number of epochs was changed counts them in a `while` loop.
    """
    step, epoch = recipe.begin
    boundaries = recipe.epoch_boundaries
    begun = boundaries.epochs_begun(recipe.until)
    is_finished = recipe.last("epochs") == begun and boundaries.ends_epoch(recipe.until)
    if recipe.changes("epochs") and is_finished and not rate.is_scheduled(recipe):
        return {
            "epochs": recipe.setting("epochs"),
            "count_from": f"step, epoch = {step}, {epoch}\n",
            "head": "while epoch < epochs:",
            "count": "    epoch += 1\n",
            "number": "epoch",
        }
    return {
        "epochs": begun,
        "count_from": f"step = {step}\n",
        "head": f"for epoch in range({epoch}, epochs):" if epoch else "for epoch in range(epochs):",
        "count": "",
        "number": "epoch + 1",
    }


def _settings(recipe: Recipe) -> str:
    lines = [f"batch_size = {recipe.setting('batch-size')}"]
    if recipe.spec.accumulate > 1:
        lines.append(
            f"accumulate = {recipe.spec.accumulate}  # batches whose gradients make a step"
        )
    if recipe.clips:
        lines.append(f"clip_norm = {recipe.setting('clip-norm')}")
    lines += rate.settings(recipe)
    initial = [change for change in recipe.plan if change.place == recipe.begin]
    if initial:
        lines += ["# Changes before the first batch.", *_statements(recipe, initial)]
    return indented(lines, 0)


def _after_batch(recipe: Recipe) -> str:
    changes = [
        change
        for change in recipe.plan
        if not recipe.epoch_boundaries.is_between_epochs(change.place)
    ]
    lines = _conditions(recipe, changes)
    if lines:
        lines = ["# Changes after a batch.", *lines]
    if not recipe.epoch_boundaries.ends_epoch(recipe.until):
        lines += [f"if step == {recipe.until}:  # the last checkpoint of the run",
                  "    break"]  # fmt: skip
    return indented(lines, 2)


def _between(recipe: Recipe) -> str:
    changes = [
        change for change in recipe.plan if recipe.epoch_boundaries.is_between_epochs(change.place)
    ]
    later = [change for change in changes if change.place != recipe.begin]
    lines = _conditions(recipe, later, recipe.reductions)
    return indented(["# Changes between two epochs.", *lines], 1) if lines else ""


def _conditions(
    recipe: Recipe, plan: Iterable[Planned], reductions: Iterable[RateReduced] = ()
) -> list[str]:
    """Return the lines that make changes at their steps; a reduced rate comes before them."""
    at_step: dict[int, list[str]] = {}
    for reduced in reductions:
        at_step.setdefault(reduced.step, []).append(rate.reduction(reduced))
    for change in plan:
        at_step.setdefault(change.step, []).extend(_statements(recipe, [change]))
    return [
        line
        for step, statements in sorted(at_step.items())
        for line in (f"if step == {step}:", *(f"    {statement}" for statement in statements))
    ]


def _statements(recipe: Recipe, changes: Iterable[Planned]) -> list[str]:
    return [line for change in changes for line in _lines(recipe, change.command)]


def _lines(recipe: Recipe, command: SwapLoss | Change) -> list[str]:
    if isinstance(command, SwapLoss):
        return [f"criterion = {_criterion(recipe, command.loss).text}"]
    if command.setting == "schedule":
        return rate.statements(recipe, RateSchedule.read(str(command.value)))
    if rate.is_scheduled(recipe) and command.setting in ("lr", "epochs"):
        return [f"{'lr' if command.setting == 'lr' else 'planned_epochs'} = {command.value!r}"]
    name = command.setting.replace("-", "_")
    if command.setting in ("lr", "weight-decay"):
        return rate.setting(name, repr(command.value))
    return [f"{name} = {command.value!r}"]
