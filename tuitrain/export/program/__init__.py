"""A plain PyTorch program that trains the same way as a run, without tuitrain."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Iterator

from tuitrain.core.errors import Refused
from tuitrain.core.safe import safe
from tuitrain.export.program import entries, rate
from tuitrain.export.program.entries import comment
from tuitrain.export.program.loop import loop
from tuitrain.export.program.part import TORCH, WIDTH, Part, call_text, indented, joined, quoted
from tuitrain.export.program.source import function
from tuitrain.export.recipe import Recipe

_DATA = ("train_inputs", "train_targets", "val_inputs", "val_targets")


def program(recipe: Recipe, *, written_by: str) -> str:
    """Return the program of a recipe; Refused if the run cannot be written as a program."""
    if recipe.spec.precision == "fp16":
        raise Refused(
            "a run in fp16 scales its gradients, which no exported program does; "
            "bf16 needs no scale, and can be exported"
        )
    script = [
        _constants(recipe),
        joined([entries.data(recipe.spec, recipe.started), _on_device(recipe, _DATA)]),
        joined([
            Part("# The model and its optimizer.\ntorch.manual_seed(SEED)\n", (TORCH,)),
            entries.model(recipe.spec, recipe.problem),
            _on_device(recipe, ("model",)),
            _computed(recipe),
            _given_weights(recipe),
            entries.optimizer(recipe.spec.optimizer, recipe.setting("lr"), recipe.started.device),
            _inherited(recipe),
        ]),
        loop(recipe),
        _closing_lines(recipe),
    ]  # fmt: skip
    functions = list(dict.fromkeys(_called(script)))
    head = _header(recipe, written_by) + "\n" + _imports([*functions, *script])
    body = "\n".join(part.text for part in script)
    return "\n\n".join([head, *(part.text for part in functions), body])


def _called(parts: Iterable[Part]) -> Iterator[Part]:
    """Yield the functions that the parts call, each after the functions that it calls."""
    for part in parts:
        for called in part.functions:
            yield from _called([called])
            yield called


def _imports(sections: Iterable[Part]) -> str:
    """Return the import lines in the order of isort: the standard library first."""
    needed = {line for part in sections for line in part.imports}
    standard = {
        line for line in needed if line.split()[1].partition(".")[0] in sys.stdlib_module_names
    }
    groups = [sorted(group, key=_as_isort) for group in (standard, needed - standard)]
    return "\n".join("".join(f"{line}\n" for line in group) for group in groups)


def _as_isort(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line


def _header(recipe: Recipe, written_by: str) -> str:
    environment = recipe.environment
    used = [f"torch {environment['torch']}", f"{environment['threads']} threads",
           f"a CPU with {environment['cpu']}"]  # fmt: skip
    if recipe.started.device != "cpu":
        used.append(environment["device"])
    return comment(
        f"Trains {recipe.spec.task} the same way as the run {recipe.name}. "
        f"Written by {written_by}, which it does not need. "
        "The weights are bit-for-bit those of the run in the same environment: "
        f"{', '.join(used)}."
    )


def _constants(recipe: Recipe) -> Part:
    lines = [f"SEED = {recipe.spec.seed}"]
    if recipe.started.device != "cpu":
        lines.append(f"device = torch.device({quoted(recipe.started.device)})")
    lines.append(f"torch.set_num_threads({int(recipe.environment['threads'])})")
    constants = Part("\n".join(lines) + "\n" + _class_weights(recipe), (TORCH,))
    return joined([_repeating_exactly(recipe), constants])


def _repeating_exactly(recipe: Recipe) -> Part:
    """Return the lines by which a GPU computes the same bits as in the run, where it did so."""
    if recipe.environment.get("deterministic") != "on":
        return Part("")
    return Part(
        'os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")\n'
        "torch.use_deterministic_algorithms(True, warn_only=True)\n",
        ("import os", TORCH),
    )


def _class_weights(recipe: Recipe) -> str:
    if not recipe.class_weights:
        return ""
    numbers = textwrap.fill(", ".join(map(repr, recipe.class_weights)), WIDTH - 8)
    device = ", device=device" if recipe.started.device != "cpu" else ""
    line = call_text("WEIGHTS = torch.tensor(", f"[{numbers}]{device}")
    return f"# The weights of the classes in the loss.\n{line}"


def _on_device(recipe: Recipe, names: Iterable[str]) -> Part:
    if recipe.started.device == "cpu":
        return Part("")
    return Part("".join(f"{name} = {name}.to(device)\n" for name in names))


def _computed(recipe: Recipe) -> Part:
    """Return the lines after which the forward passes of the model are computed as in the run."""
    compiled = Part("")
    if recipe.spec.compile:
        compile_model = function("tuitrain.engine.forward:compile_model")
        compiled = Part("compile_model(model)\n", (), (compile_model,))
    if recipe.spec.precision == "fp32":
        return compiled
    device = quoted(recipe.started.device.partition(":")[0])
    mixed = Part(
        f"compute_in(model, {device}, torch.bfloat16)\n", (),
        (function("tuitrain.engine.forward:compute_in"),),
    )  # fmt: skip
    return joined([mixed, compiled])


def _given_weights(recipe: Recipe) -> Part:
    if recipe.spec.init_from is None:
        return Part("")
    file = quoted(recipe.spec.init_from)
    return Part(
        call_text("given = torch.load(", f'{file}, map_location="cpu", weights_only=True')
        + "model.load_state_dict(weights_in(given))\n",
        (),
        (function("tuitrain.engine.state.weights:weights_in"),),
    )


def _inherited(recipe: Recipe) -> Part:
    if recipe.origin is None:
        return Part("")
    assert recipe.spec.parent is not None
    file = quoted(str(recipe.origin))
    text = "# Start from this checkpoint of another run.\n"
    text += call_text("origin = torch.load(", f'{file}, map_location="cpu", weights_only=True')
    text += 'model.load_state_dict(origin["model"])\n'
    if recipe.spec.parent.keeps_optimizer:
        text += 'optimizer.load_state_dict(origin["optimizer"])\n'
        text += indented(rate.setting("lr", repr(recipe.setting("lr"))), 0)
    text += 'if origin["seed"] == SEED:\n    torch.set_rng_state(origin["rng"]["cpu"])\n'
    if recipe.started.device.startswith("cuda"):
        text += '    if origin["rng"]["cuda"] is not None:\n'
        text += '        torch.cuda.set_rng_state(origin["rng"]["cuda"], device)\n'
    text += "else:\n    torch.manual_seed(SEED)\n"
    return Part(text)


def _closing_lines(recipe: Recipe) -> Part:
    return Part(
        comment(f"SHA-256 of the weights of the run at step {recipe.until}:")
        + f"# {safe(recipe.weights_sha256)}\n"
        + "print(state_sha256(model.state_dict()))\n",
        (),
        (function("tuitrain.engine.state.weights:state_sha256"),),
    )
