"""The training loop of a program, with the changes of its run as code at their places."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from string import Template

from tuitrain.catalog import Kind
from tuitrain.core.commands import Change, SwapLoss
from tuitrain.core.plan import Planned
from tuitrain.export.program import entries
from tuitrain.export.program.part import FUNCTIONAL, MATH, NN, TORCH, Part, indented, joined
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
        # 1. Forget the gradients of the batch before.
        optimizer.zero_grad()
$keep\
        # 2. Forward: what does the model make of these samples?
        prediction = model(train_inputs[batch])
        # 3. The loss: how wrong is that?
        loss = criterion(prediction, train_targets[batch])
        # 4. Backward: how does the loss change with every weight?
        loss.backward()
$clip\
$schedule\
        # 5. Let the optimizer change every weight a little.
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

_CLIP = """\
        # Where their norm is too large, make the gradients smaller.
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
"""

_SCHEDULE = """\
        # The learning rate goes down with the share of the run that is done.
        done = (epoch + number / math.ceil(len(train_inputs) / batch_size)) / planned_epochs
        optimizer.param_groups[0]["lr"] = lr * $share
"""

_AT_ONCE = 1024
"""Samples that a validation takes at once."""
_MANY = f"torch.cat([model(inputs) for inputs in val_inputs.split({_AT_ONCE})])"

_STEPPING = {"keep": "", "optimize": "        optimizer.step()\n"}
_SKIPPING = {
    "keep": """\
        # A forward pass may change statistics (of batch norm): keep them, in case it goes wrong.
        statistics = [each.clone() for each in model.buffers()]
""",
    "optimize": """\
        # A loss or gradient that is not finite never reaches them.
        numbers = [loss, *(weights.grad for weights in model.parameters())]
        if all(each.isfinite().all() for each in numbers):
            optimizer.step()
        else:
            for each, before in zip(model.buffers(), statistics):
                each.copy_(before)
""",
}

_METRICS: dict[Kind, tuple[str, str]] = {
    "multiclass": ("accuracy", "(prediction.argmax(dim=1) == val_targets).float().mean()"),
    "binary": ("accuracy", "((prediction.squeeze(1) > 0) == val_targets.bool()).float().mean()"),
    "regression": (
        "rmse", "functional.mse_loss(prediction.squeeze(1), val_targets).sqrt() * unit"
    ),
}  # fmt: skip


def loop(recipe: Recipe) -> Part:
    """Return the loop, up to the checkpoint at which the recipe ends."""
    metric, formula = _METRICS[recipe.kind]
    losses = [entries.criterion(loss, recipe.kind) for loss in recipe.losses]
    schedule = entries.schedule(recipe.spec.optimizer)
    many = recipe.started.val_samples > _AT_ONCE
    text = _LOOP.substitute(
        criterion=losses[0].text,
        settings=_settings(recipe),
        **_counting(recipe),
        batches=_batches(recipe, is_numbered=schedule is not None),
        schedule=Template(_SCHEDULE).substitute(share=schedule.text) if schedule else "",
        clip=_CLIP if recipe.clips else "",
        **(_SKIPPING if recipe.skips_bad_batches else _STEPPING),
        after_batch=_after_batch(recipe),
        predict=_MANY if many else "model(val_inputs)",
        metric=f"{metric} = {formula}",
        printed=f"{metric} {{{metric}:.4f}}",
        between=_between(recipe),
    )
    known = ((TORCH, "torch."), (NN, "nn."), (MATH, "math."), (FUNCTIONAL, "functional."))
    imports = tuple(line for line, name in known if f" {name}" in text)
    needed = [*losses, *([schedule] if schedule else [])]
    return joined([
        Part(text, imports, (function("tuitrain.engine.data:shuffled"),)),
        *(part._replace(text="") for part in needed),
    ])  # fmt: skip


def _batches(recipe: Recipe, *, is_numbered: bool) -> str:
    to_device = ".to(device)" if recipe.started.device != "cpu" else ""
    batches = f"shuffled(len(train_inputs), seed=SEED, epoch=epoch){to_device}.split(batch_size)"
    if not is_numbered:
        return f"    for batch in {batches}:"
    return f"    batches = {batches}\n    for number, batch in enumerate(batches):"


def _counting(recipe: Recipe) -> dict[str, object]:
    """Return how epochs are counted; a run that was told another number of them can only count."""
    step, epoch = recipe.begin
    calendar = recipe.calendar
    begun = calendar.epochs_begun(recipe.until)
    came_to_its_end = recipe.last("epochs") == begun and calendar.ends_epoch(recipe.until)
    if recipe.changes("epochs") and came_to_its_end and not entries.schedule(recipe.spec.optimizer):
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
    if recipe.clips:
        lines.append(f"clip_norm = {recipe.setting('clip-norm')}")
    if entries.schedule(recipe.spec.optimizer):
        lines += [f"planned_epochs = {recipe.setting('epochs')}", f"lr = {recipe.setting('lr')!r}"]
    first = [each for each in recipe.plan if each.place == recipe.begin]
    if first:
        lines += ["# What the run was told before its first batch.", *_statements(recipe, first)]
    return indented(lines, 0)


def _after_batch(recipe: Recipe) -> str:
    told = [each for each in recipe.plan if not recipe.calendar.is_between_epochs(each.place)]
    lines = _conditions(recipe, told)
    if lines:
        lines = ["# What the run was told after a batch.", *lines]
    if not recipe.calendar.ends_epoch(recipe.until):
        lines += [f"if step == {recipe.until}:  # here is the last checkpoint of the run",
                  "    break"]  # fmt: skip
    return indented(lines, 2)


def _between(recipe: Recipe) -> str:
    told = [each for each in recipe.plan if recipe.calendar.is_between_epochs(each.place)]
    lines = _conditions(recipe, [each for each in told if each.place != recipe.begin])
    return indented(["# What the run was told between two epochs.", *lines], 1) if lines else ""


def _conditions(recipe: Recipe, plan: Iterable[Planned]) -> list[str]:
    lines = []
    for step, changes in groupby(plan, key=lambda each: each.step):
        lines.append(f"if step == {step}:")
        lines += [f"    {statement}" for statement in _statements(recipe, changes)]
    return lines


def _statements(recipe: Recipe, changes: Iterable[Planned]) -> list[str]:
    return [_statement(recipe, each.command) for each in changes]


def _statement(recipe: Recipe, command: SwapLoss | Change) -> str:
    if isinstance(command, SwapLoss):
        return f"criterion = {entries.criterion(command.loss, recipe.kind).text}"
    if entries.schedule(recipe.spec.optimizer) and command.setting in ("lr", "epochs"):
        return f"{'lr' if command.setting == 'lr' else 'planned_epochs'} = {command.value!r}"
    name = command.setting.replace("-", "_")
    if command.setting in ("lr", "weight-decay"):
        return f'optimizer.param_groups[0]["{name}"] = {command.value!r}'
    return f"{name} = {command.value!r}"
